//! What the doctor says: a line for each thing it looked at.

use std::fmt;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) verdict: Verdict,
    about: &'static str,
    says: String,
    command: Option<String>,
}

/// What it means for the kernel plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Good as it is.
    Ok,
    /// It runs, and something is worse than it could be, or could not be found out.
    Warn,
    /// It does not run.
    Fail,
}

impl Check {
    pub(super) fn ok(about: &'static str, says: impl Into<String>) -> Self {
        Self::new(Verdict::Ok, about, says)
    }

    pub(super) fn warn(about: &'static str, says: impl Into<String>) -> Self {
        Self::new(Verdict::Warn, about, says)
    }

    pub(super) fn fail(about: &'static str, says: impl Into<String>) -> Self {
        Self::new(Verdict::Fail, about, says)
    }

    /// What changes it.
    pub(super) fn by(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }

    fn new(verdict: Verdict, about: &'static str, says: impl Into<String>) -> Self {
        Self {
            verdict,
            about,
            says: says.into(),
            command: None,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        };
        // What the verifier says has lines of its own.
        write!(
            f,
            "{verdict:<5} {:<13} {}",
            self.about,
            self.says.replace('\n', "\n      ")
        )?;
        match &self.command {
            Some(command) => write!(f, ": {command}"),
            None => Ok(()),
        }
    }
}
