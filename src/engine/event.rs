//! What a run tells while it goes on. Renderers live in `report`.

use serde::Serialize;

use super::Stop;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event<'a> {
    /// The run begins.
    RunBegins {
        /// Its number in the workspace.
        run: i64,
        /// The pipeline's name.
        pipeline: &'a str,
    },
    /// A stage has something to do.
    StageBegins {
        /// Its name, with the language pair where there are several: `align ru-tk`.
        stage: &'a str,
        /// How much, if that is known.
        total: Option<u64>,
        /// What is counted.
        unit_word: &'a str,
    },
    /// Some of it is done.
    Advanced {
        /// How much more.
        done: u64,
        /// How much more there is to do than was thought.
        added: u64,
        /// What it was.
        what: &'a str,
    },
    /// A unit failed; the run goes on.
    UnitFailed {
        /// Its stage.
        stage: &'a str,
        /// Its name.
        unit: &'a str,
        /// Why.
        error: &'a str,
    },
    /// Something that a person should know, and no failure: a budget was spent, a host asked to be left alone.
    Note {
        /// The stage.
        stage: &'a str,
        /// What.
        text: &'a str,
    },
    /// A stage is through.
    StageEnds {
        /// Its name.
        stage: &'a str,
        /// In words and figures.
        note: &'a str,
    },
    /// A site's layout has moved away from its profile; holds until the profile is changed, or fits again.
    Alarm {
        /// The site.
        site: &'a str,
        /// In words and figures.
        message: &'a str,
        /// The page on which it shows most.
        example: &'a str,
        /// The command to look at it.
        command: &'a str,
    },
    /// The run is through.
    RunEnds {
        /// `done`, `done with failures`, `done with alarms`, `failed` or `interrupted`.
        outcome: &'a str,
        /// Units done, requests included.
        done: u64,
        /// Units that failed, in this run or before it without being tried again.
        failed: u64,
    },
}

/// Who listens.
pub trait Observer {
    /// Something happened.
    fn event(&mut self, event: &Event<'_>);

    /// The flag that ends the run, which any thread may read. The default is never set.
    fn stop(&self) -> Stop {
        Stop::default()
    }
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _: &Event<'_>) {}
}
