use yaml::{Fields, Problems};

use super::Check;
use crate::chain::{error::StepError, templated::Templated, types::Type};

/// An option that is a number or a template that gives one: its bounds are checked as soon as it is known.
#[derive(Debug)]
pub(super) struct Number {
    name: &'static str,
    pub(super) value: Templated,
    least: f64,
    most: f64,
    whole: bool,
}

impl Number {
    pub(super) fn read(
        fields: &Fields<'_>,
        name: &'static str,
        (least, most): (f64, f64),
        problems: &Problems,
    ) -> Option<Self> {
        let value = Templated::read(fields.get(name)?, problems);
        Some(Self {
            name,
            value,
            least,
            most,
            whole: false,
        })
    }

    /// It has no fraction.
    pub(super) fn whole(self) -> Self {
        Self { whole: true, ..self }
    }

    pub(super) fn check(&self, check: &mut Check<'_>) {
        match self.value.literal_number() {
            Some(number) if self.holds(number) => {}
            Some(_) => check.problems.add_plain(self.value.position, self.bounds()),
            None => match self.value.infer(check.scope, None, check.problems) {
                Type::Number | Type::Any { .. } => {}
                other => {
                    let message = format!("`{}` must be a number, and this is {}", self.name, other.describe());
                    check.problems.add_plain(self.value.position, message);
                }
            },
        }
    }

    pub(super) fn value(&self, scope: &minijinja::Value) -> Result<f64, StepError> {
        let value = self.value.value(scope)?;
        value
            .as_f64()
            .filter(|number| self.holds(*number))
            .ok_or_else(|| StepError::Option { message: self.bounds() })
    }

    fn holds(&self, number: f64) -> bool {
        (self.least..=self.most).contains(&number) && (!self.whole || number.fract() == 0.0)
    }

    fn bounds(&self) -> String {
        let number = if self.whole { "a whole number" } else { "a number" };
        format!("`{}` must be {number} from {} to {}", self.name, self.least, self.most)
    }
}
