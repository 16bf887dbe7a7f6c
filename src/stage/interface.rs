//! Labelling interfaces: the configurations that Label Studio is given (`schemas/label-studio/`), the tasks that are
//! asked in them, and whether a task fits its configuration.
//!
//! The check is ours because nobody else makes it. Label Studio 1.23 takes a prediction with an unknown label or control
//! and silently does not show it, and it refuses a whole batch over one missing key without saying which task it was.

use std::collections::{BTreeMap, BTreeSet};

use quick_xml::events::{BytesStart, Event};
use serde_json::{Value, json};

use super::Languages;
use crate::error::{Error, ErrorKind, Result};
use crate::record::{Interface, Pair, PairId, TaskId};

/// The configuration that ships for an interface.
pub fn config(interface: Interface) -> &'static str {
    match interface {
        Interface::Translation => include_str!("../../schemas/label-studio/translation.xml"),
        Interface::Similarity => include_str!("../../schemas/label-studio/similarity.xml"),
        Interface::Pairwise => include_str!("../../schemas/label-studio/pairwise.xml"),
    }
}

/// What a labelling configuration shows and asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelConfig {
    /// Keys of a task's data that it names (`$key`).
    variables: BTreeSet<String>,
    /// Names of the texts that it shows.
    objects: BTreeSet<String>,
    controls: BTreeMap<String, Control>,
}

/// One thing that it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Control {
    /// Its tag in lower case: the `type` of a result.
    tag: String,
    /// What it is about.
    to: Vec<String>,
    choices: BTreeSet<String>,
    /// One choice at most.
    single: bool,
    /// The most stars of a rating.
    most: u64,
}

impl LabelConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Kind `Config`: no XML, a control without a name, about nothing, or about what is not there.
    pub fn parse(xml: &str) -> Result<Self> {
        let wrong = |what: String| Error::config(format!("the labelling configuration: {what}"));
        let mut reader = quick_xml::Reader::from_str(xml);
        let mut config = Self { variables: BTreeSet::new(), objects: BTreeSet::new(), controls: BTreeMap::new() };
        let mut asking: Option<String> = None;
        loop {
            let event =
                reader.read_event().map_err(|error| wrong(format!("at byte {}: {error}", reader.error_position())))?;
            match event {
                Event::Eof => break,
                Event::Start(tag) | Event::Empty(tag) => config.tag(&tag, &mut asking).map_err(wrong)?,
                _ => {}
            }
        }
        if config.controls.is_empty() {
            return Err(wrong("it asks nothing".into()));
        }
        for (name, control) in &config.controls {
            if let Some(missing) = control.to.iter().find(|to| !config.objects.contains(*to)) {
                return Err(wrong(format!("{name} is about {missing:?} (toName), which it does not show")));
            }
        }
        Ok(config)
    }

    fn tag(&mut self, tag: &BytesStart<'_>, asking: &mut Option<String>) -> Result<(), String> {
        let kind = tag.name().as_ref().to_owned();
        let mut attributes = BTreeMap::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| format!("<{kind}>: {error}"))?;
            let value = attribute
                .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                .map_err(|error| format!("<{kind}>: {error}"))?;
            attributes.insert(attribute.key.as_ref().to_owned(), value.into_owned());
        }
        let value = attributes.get("value");
        self.variables.extend(value.and_then(|value| value.strip_prefix('$')).map(str::to_owned));
        if kind == "Choice" {
            let control = asking.as_ref().and_then(|name| self.controls.get_mut(name));
            let control = control.ok_or("a <Choice> outside of <Choices>")?;
            let said = attributes.get("alias").or(value).ok_or("a <Choice> without a value")?;
            control.choices.insert(said.clone());
            return Ok(());
        }
        let Some(name) = attributes.get("name") else { return Ok(()) };
        let Some(to) = attributes.get("toName") else {
            self.objects.insert(name.clone());
            return Ok(());
        };
        *asking = Some(name.clone());
        let control = Control {
            tag: kind.to_lowercase(),
            to: to.split(',').map(|to| to.trim().to_owned()).collect(),
            choices: BTreeSet::new(),
            single: attributes.get("choice").is_none_or(|choice| choice.starts_with("single")),
            most: attributes.get("maxRating").and_then(|most| most.parse().ok()).unwrap_or(5),
        };
        if self.controls.insert(name.clone(), control).is_some() {
            return Err(format!("two controls are called {name:?}"));
        }
        Ok(())
    }

    /// Whether what we read back from an interface is asked here.
    ///
    /// # Errors
    /// Kind `Config`, naming the control that is missing or has other choices.
    pub fn serves(&self, interface: Interface) -> Result<()> {
        let wrong = |what: &str| {
            Err(Error::config(format!(
                "the labelling configuration does not serve for {}: {what}; begin with schemas/label-studio/{0}.xml",
                interface.name()
            )))
        };
        let choices = |name: &str, needed: &[&str]| {
            self.controls.get(name).is_some_and(|control| needed.iter().all(|choice| control.choices.contains(*choice)))
        };
        match interface {
            Interface::Translation if !choices("verdict", &crate::record::annotation::VERDICTS) => {
                wrong("it needs <Choices name=\"verdict\"> with yes, partly and no")
            }
            Interface::Similarity
                if !choices("sts", &["0", "1", "2", "3", "4", "5"])
                    && self.controls.get("sts").is_none_or(|control| control.tag != "rating" || control.most != 5) =>
            {
                wrong("it needs <Choices name=\"sts\"> with 0 to 5, or <Rating name=\"sts\" maxRating=\"5\">")
            }
            Interface::Pairwise if self.controls.get("better").is_none_or(|control| control.tag != "pairwise") => {
                wrong("it needs <Pairwise name=\"better\">")
            }
            _ => Ok(()),
        }
    }

    /// What is wrong with a task, if anything is; Label Studio would refuse it, or take it and show less.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self, task: &Value) -> Result<(), String> {
        for key in &self.variables {
            match task["data"].get(key) {
                Some(Value::String(text)) if !text.trim().is_empty() => {}
                Some(Value::String(_)) => return Err(format!("data.{key} is empty")),
                Some(other) => return Err(format!("data.{key} is {other}, expected text")),
                None => return Err(format!("data.{key} is missing")),
            }
        }
        self.check_predictions(task)
    }

    /// What is wrong with a task's predictions: the server takes them and shows nothing.
    ///
    /// # Errors
    /// In words.
    pub fn check_predictions(&self, task: &Value) -> Result<(), String> {
        for prediction in task["predictions"].as_array().map_or(&[][..], Vec::as_slice) {
            if prediction.get("score").is_some_and(|score| score.as_f64().is_none_or(|score| !score.is_finite())) {
                return Err("a prediction's score is no number".into());
            }
            for item in prediction["result"].as_array().map_or(&[][..], Vec::as_slice) {
                self.check_result(item)?;
            }
        }
        Ok(())
    }

    fn check_result(&self, item: &Value) -> Result<(), String> {
        let text = |key: &str| item[key].as_str().unwrap_or_default();
        let name = text("from_name");
        let Some(control) = self.controls.get(name) else {
            let known: Vec<&str> = self.controls.keys().map(String::as_str).collect();
            return Err(format!("a prediction answers {name:?}, which is not asked; asked are {}", known.join(", ")));
        };
        if text("type") != control.tag {
            return Err(format!("the prediction of {name} is a {:?}, expected {:?}", text("type"), control.tag));
        }
        // Label Studio names a choice between two by the control itself, on both ends.
        let about =
            |to: &str| if control.tag == "pairwise" { to == name } else { control.to.iter().any(|own| own == to) };
        if !about(text("to_name")) {
            return Err(format!("the prediction of {name} is about {:?}", text("to_name")));
        }
        let value = &item["value"];
        match control.tag.as_str() {
            "choices" => {
                let chosen =
                    value["choices"].as_array().ok_or_else(|| format!("the prediction of {name} chooses nothing"))?;
                if chosen.is_empty() || (control.single && chosen.len() > 1) {
                    return Err(format!("the prediction of {name} makes {} choices", chosen.len()));
                }
                match chosen
                    .iter()
                    .find(|choice| choice.as_str().is_none_or(|choice| !control.choices.contains(choice)))
                {
                    Some(other) => Err(format!("{name} does not offer {other}")),
                    None => Ok(()),
                }
            }
            "rating" => match value["rating"].as_u64() {
                Some(stars) if (1..=control.most).contains(&stars) => Ok(()),
                _ => Err(format!("the rating {} of {name} is not between 1 and {}", value["rating"], control.most)),
            },
            "pairwise" if !matches!(value["selected"].as_str(), Some("left" | "right")) => {
                Err(format!("the prediction of {name} selects {}, expected left or right", value["selected"]))
            }
            _ => Ok(()),
        }
    }
}

/// What a task says of itself beside its texts.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Its id.
    pub task: TaskId,
    /// The languages of the texts.
    pub languages: Languages,
    /// URL or book of the source side.
    pub source_location: Option<&'a str>,
    /// URL or book of the target side.
    pub target_location: Option<&'a str>,
}

/// A task on one pair: a translation check, or a similarity.
///
/// `probability` is that of a translation, 0 to 1; the prediction's score is how sure the predicted answer is, so that
/// Label Studio's uncertainty sampling, which shows the lowest score first, begins with what is least sure.
pub fn body(interface: Interface, about: &About<'_>, pair: &Pair, probability: f64) -> Value {
    let (name, answer) = match interface {
        Interface::Similarity => ("sts", format!("{:.0}", 5.0 * probability.clamp(0.0, 1.0))),
        Interface::Translation | Interface::Pairwise => ("verdict", predicted(probability).to_owned()),
    };
    let result = json!([{ "from_name": name, "to_name": "tgt", "type": "choices", "value": { "choices": [answer] } }]);
    let mut data = data(about, pair);
    data["tgt_text"] = json!(pair.target.text);
    data["tgt_lang"] = json!(about.languages.target.name());
    json!({ "data": data, "predictions": [prediction(result, probability.max(1.0 - probability))] })
}

/// A task on two candidates for one source text; the first is the better one as far as we know, and `confidence` how
/// sure that is, .5 to 1. Which of them stands left follows from the task's id, and so from no property of either.
pub fn choice_body(about: &About<'_>, pair: &Pair, other: (PairId, &str), confidence: f64) -> Value {
    let swapped = about.task.0 % 2 == 1;
    let (left, right) = ((pair.id, pair.target.text.as_str()), other);
    let (left, right) = if swapped { (right, left) } else { (left, right) };
    let selected = if swapped { "right" } else { "left" };
    let result =
        json!([{ "from_name": "better", "to_name": "better", "type": "pairwise", "value": { "selected": selected } }]);
    let mut data = data(about, pair);
    data["a_id"] = json!(left.0);
    data["b_id"] = json!(right.0);
    data["cand_a"] = json!(left.1);
    data["cand_b"] = json!(right.1);
    json!({ "data": data, "predictions": [prediction(result, confidence)] })
}

/// What every task tells. Not why it is asked: a control item that can be told from the others is none.
fn data(about: &About<'_>, pair: &Pair) -> Value {
    json!({
        "task_id": about.task,
        "pair_id": pair.id,
        "src_text": pair.source.text,
        "src_lang": about.languages.source.name(),
        // Label Studio refuses a whole batch over one missing key.
        "src_url": about.source_location.unwrap_or_default(),
        "tgt_url": about.target_location.unwrap_or_default(),
        "origin": pair.origin.name(),
    })
}

fn prediction(result: Value, score: f64) -> Value {
    // Four digits say enough, and the file stays readable.
    let score = (score * 1e4).round() / 1e4;
    json!({ "model_version": MODEL_VERSION, "score": score, "result": result })
}

/// Under this name our predictions stand in Label Studio, which shows one version's.
pub const MODEL_VERSION: &str = concat!("kopri-", env!("CARGO_PKG_VERSION"));

/// The verdict that a probability speaks for.
pub fn predicted(probability: f64) -> &'static str {
    match probability {
        p if p >= 0.7 => "yes",
        p if p >= 0.3 => "partly",
        _ => "no",
    }
}

/// Reads a configuration from a file, or takes the one that ships.
///
/// # Errors
/// Kind `Config` when it cannot be read or does not serve for the interface.
pub fn load(interface: Interface, path: Option<&std::path::Path>) -> Result<(String, LabelConfig)> {
    let xml = match path {
        Some(path) => {
            crate::files::read_text(path).map_err(|error| Error::new(ErrorKind::Config, error.to_string()))?
        }
        None => config(interface).to_owned(),
    };
    let read = LabelConfig::parse(&xml).and_then(|config| config.serves(interface).map(|()| config));
    let config = read.map_err(|error| match path {
        Some(path) => error.while_doing(format!("reading {}", path.display())),
        None => error,
    })?;
    Ok((xml, config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Language, Origin, Side};

    fn about(id: i64) -> About<'static> {
        let languages = Languages { source: Language::RUSSIAN, target: Language::TURKMEN };
        About { task: TaskId(id), languages, source_location: Some("http://a.test/1"), target_location: None }
    }

    fn pair() -> Pair {
        let side = |text: &str| Side { document: None, sentences: Vec::new(), text: text.into() };
        Pair {
            id: PairId(7),
            source: side("Президент подписал указ."),
            target: side("Prezident permana gol çekdi."),
            origin: Origin::Mined,
            scores: crate::record::Scores::default(),
            score: 0.9,
            parent: None,
        }
    }

    fn shipped(interface: Interface) -> LabelConfig {
        load(interface, None).unwrap().1
    }

    #[test]
    fn every_task_that_we_make_fits_the_configuration_that_ships() {
        for step in 0..=20 {
            let probability = f64::from(step) / 20.0;
            for interface in [Interface::Translation, Interface::Similarity] {
                let task = body(interface, &about(1), &pair(), probability);
                assert_eq!(shipped(interface).check(&task), Ok(()), "{task}");
                assert!(task["predictions"][0]["score"].as_f64().unwrap() >= 0.5);
            }
        }
        for id in [4, 5] {
            let task = choice_body(&about(id), &pair(), (PairId(8), "Başga söz."), 0.6);
            assert_eq!(shipped(Interface::Pairwise).check(&task), Ok(()), "{task}");
            // The prediction points at the first candidate wherever it stands.
            let left = task["predictions"][0]["result"][0]["value"]["selected"] == "left";
            assert_eq!(task["data"][if left { "a_id" } else { "b_id" }], "p0000000000000007");
        }
    }

    #[test]
    fn what_label_studio_would_hide_or_refuse_is_told() {
        let config = shipped(Interface::Translation);
        let whole = body(Interface::Translation, &about(1), &pair(), 0.9);
        let changed = |change: &dyn Fn(&mut Value)| {
            let mut task = whole.clone();
            change(&mut task);
            config.check(&task).unwrap_err()
        };
        let item = |task: &mut Value, key: &str, value: Value| task["predictions"][0]["result"][0][key] = value;
        assert_eq!(changed(&|task| task["data"]["tgt_text"] = Value::Null), "data.tgt_text is null, expected text");
        assert_eq!(changed(&|task| task["data"]["src_text"] = json!(" ")), "data.src_text is empty");
        assert!(
            changed(&|task| item(task, "value", json!({ "choices": ["maybe"] }))).contains("does not offer \"maybe\"")
        );
        assert!(changed(&|task| item(task, "value", json!({ "choices": ["yes", "no"] }))).contains("2 choices"));
        assert!(changed(&|task| item(task, "from_name", json!("verdikt"))).contains("asked are problems, src_fix"));
        assert!(changed(&|task| item(task, "to_name", json!("src"))).contains("about \"src\""));
        assert!(changed(&|task| item(task, "type", json!("rating"))).contains("expected \"choices\""));
        assert!(changed(&|task| task["predictions"][0]["score"] = json!("high")).contains("no number"));
    }

    #[test]
    fn a_configuration_of_ones_own_must_ask_what_we_read() {
        let own =
            "<View><Text name=\"t\" value=\"$src_text\"/><Rating name=\"sts\" toName=\"t\" maxRating=\"5\"/></View>";
        let config = LabelConfig::parse(own).unwrap();
        config.serves(Interface::Similarity).unwrap();
        let error = config.serves(Interface::Translation).unwrap_err().to_string();
        assert!(
            error.contains("yes, partly and no") && error.contains("schemas/label-studio/translation.xml"),
            "{error}"
        );
        assert!(
            LabelConfig::parse("<View><Rating name=\"r\" toName=\"x\"/></View>")
                .unwrap_err()
                .to_string()
                .contains("\"x\"")
        );
        assert!(LabelConfig::parse("<View><Text name=\"t\"/></View>").is_err(), "it asks nothing");
        assert!(LabelConfig::parse("<View><Text").is_err());
        let stars = |stars: u64| {
            json!({ "data": { "src_text": "a" }, "predictions": [{ "result": [
            { "from_name": "sts", "to_name": "t", "type": "rating", "value": { "rating": stars } }] }] })
        };
        assert!(
            config.check(&stars(5)).is_ok() && config.check(&stars(6)).is_err() && config.check(&stars(0)).is_err()
        );
    }
}
