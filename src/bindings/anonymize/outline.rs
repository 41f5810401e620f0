//! What a plan says, for what treats whole columns by it.

use super::AnonymizePlan;
use crate::anonymize::{OnError, Step, Unnamed, steps};
use crate::error::ConfigError;

/// The steps of a path (None is each element), the rule's word, what it gives, and what becomes of a value that it cannot read.
pub(super) type Ruled = (Vec<Option<String>>, String, &'static str, &'static str, &'static str);

/// The default, what becomes of values that a rule cannot read, and all rules.
pub(super) type Outline = (&'static str, &'static str, Vec<Ruled>);

impl AnonymizePlan {
    pub(super) fn outlined(&self) -> Result<Outline, ConfigError> {
        let rules = self.core.columns().iter().map(|column| {
            let steps = steps(column.path())?.into_iter().map(|step| match step {
                Step::Member(name) => Some(name),
                Step::Each => None,
            });
            let on_error = on_error(column.on_error());
            Ok((steps.collect(), column.path().to_owned(), column.word(), column.gives().word(), on_error))
        });
        let unnamed = match self.core.unnamed() {
            Unnamed::Drop => "drop",
            Unnamed::Keep => "keep",
            Unnamed::Redact => "redact",
            Unnamed::Refuse => "refuse",
        };
        Ok((unnamed, on_error(self.core.on_error()), rules.collect::<Result<_, ConfigError>>()?))
    }
}

fn on_error(what: OnError) -> &'static str {
    match what {
        OnError::Refuse => "refuse",
        OnError::Suppress => "suppress",
    }
}
