//! Scores of a pair, by scorer. A score has a name, a range and a direction; one that was not computed is absent.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What computes a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scorer {
    /// Cosine of the two sides' vectors, −1 to 1; higher is nearer.
    Similarity,
    /// Ratio margin (Artetxe & Schwenk 2019): similarity against the mean over each side's neighbours. Above 0 and
    /// unbounded; 1 is no better than the neighbours, higher is better.
    Margin,
    /// Calibrated probability that the pair is a translation, 0 to 1; higher is surer.
    Probability,
}

impl Scorer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Similarity, Self::Margin, Self::Probability];

    /// Its name in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Similarity => "similarity",
            Self::Margin => "margin",
            Self::Probability => "probability",
        }
    }

    /// Reads [`Self::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scorer| scorer.name() == name)
    }
}

/// The scores of a pair, each scorer at most once. In JSON an object: `{"similarity":0.8,"margin":1.2}`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores(Vec<(Scorer, f32)>);

impl Scores {
    /// The similarity and the margin that an encoder gave; those it did not give are absent.
    pub fn of_encoder(similarity: Option<f32>, margin: Option<f32>) -> Self {
        let both = [(Scorer::Similarity, similarity), (Scorer::Margin, margin)];
        Self(both.into_iter().filter_map(|(scorer, value)| Some((scorer, value?))).collect())
    }

    /// A scorer's score.
    pub fn get(&self, scorer: Scorer) -> Option<f32> {
        self.0.iter().find(|(other, _)| *other == scorer).map(|(_, value)| *value)
    }
}

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (scorer, value) in &self.0 {
            map.serialize_entry(scorer.name(), value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Scores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Scores;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of scores by scorer")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scores, A::Error> {
                let mut scores = Vec::new();
                while let Some((name, value)) = map.next_entry::<std::borrow::Cow<'_, str>, f32>()? {
                    let scorer = Scorer::from_name(&name);
                    scores.push((scorer.ok_or_else(|| A::Error::custom(format!("no scorer {name:?}")))?, value));
                }
                Ok(Scores(scores))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_an_object_and_read_back() {
        let scores = Scores::of_encoder(Some(0.5), None);
        let json = serde_json::to_string(&scores).unwrap();
        assert_eq!(json, r#"{"similarity":0.5}"#);
        assert_eq!(serde_json::from_str::<Scores>(&json).unwrap(), scores);
        assert_eq!((scores.get(Scorer::Similarity), scores.get(Scorer::Margin)), (Some(0.5), None));
        assert!(serde_json::from_str::<Scores>(r#"{"luck":1}"#).is_err());
    }
}
