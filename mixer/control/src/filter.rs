//! What is done to a host's pictures before they are mixed, as people ask for it: plain data, checked before it reaches a mixer.

use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Filters of a chain.
pub const MAX_FILTERS: usize = 8;
/// Brightness, from the darkest to the lightest.
const AMOUNTS: RangeInclusive<f32> = -1.0..=1.0;
/// Contrast, saturation, sharpness.
const FACTORS: RangeInclusive<f32> = 0.0..=4.0;
/// How much noise is taken out.
const STRENGTHS: RangeInclusive<f32> = 0.0..=1.0;
/// Samples of luma.
const RADII: RangeInclusive<u32> = 1..=32;
/// Quarter turns.
const DEGREES: [u32; 4] = [0, 90, 180, 270];

/// Filters, one after the other; without any, pictures stay as they come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Filters(pub Vec<Filter>);

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Filter {
    /// Lighter or darker.
    Brightness {
        /// -1 to 1; 0 changes nothing, 1 makes black white.
        amount: f32,
    },
    /// Light and dark further apart.
    Contrast {
        /// 0 to 4; 1 changes nothing.
        factor: f32,
    },
    /// More or less colour.
    Saturation {
        /// 0 to 4; 1 changes nothing, 0 is black and white.
        factor: f32,
    },
    /// Steeper edges.
    Sharpen {
        /// 0 to 4; 0 changes nothing.
        amount: f32,
    },
    /// Less noise, by what was shown before.
    Denoise {
        /// 0 to 1; 0 changes nothing.
        strength: f32,
    },
    /// A soft picture.
    Blur {
        /// 1 to 32 pixels.
        radius: u32,
    },
    /// A turned picture.
    Rotate {
        /// Clockwise: 0, 90, 180 or 270.
        degrees: u32,
    },
    /// A mirrored picture.
    Mirror {
        /// What is swapped.
        #[serde(default)]
        axis: Axis,
    },
}

/// What a mirror swaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Left and right.
    #[default]
    Horizontal,
    /// Top and bottom.
    Vertical,
}

/// Why a chain cannot be run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FiltersError {
    /// Too many.
    #[error("{0} filters; a chain has {MAX_FILTERS} at most")]
    TooMany(usize),
    /// A value out of range.
    #[error("filter {index}: {what} is {value}; it must be from {least} to {most}", least = .range.start(), most = .range.end())]
    Value {
        /// Which, from 0.
        index: usize,
        /// Of which member.
        what: &'static str,
        /// What was said.
        value: f32,
        /// What can be said.
        range: RangeInclusive<f32>,
    },
    /// A radius out of range.
    #[error("filter {index}: radius is {radius}; it must be from {least} to {most}", least = RADII.start(), most = RADII.end())]
    Radius {
        /// Which, from 0.
        index: usize,
        /// What was said.
        radius: u32,
    },
    /// Not a quarter turn.
    #[error("filter {index}: degrees is {degrees}; it must be 0, 90, 180 or 270")]
    Degrees {
        /// Which, from 0.
        index: usize,
        /// What was said.
        degrees: u32,
    },
}

impl Filters {
    /// Whether a mixer can run it.
    pub fn check(&self) -> Result<(), FiltersError> {
        if self.0.len() > MAX_FILTERS {
            return Err(FiltersError::TooMany(self.0.len()));
        }
        let mut filters = self.0.iter().enumerate();
        filters.try_for_each(|(index, filter)| filter.check(index))
    }

    /// Whether pictures stay as they come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Filter {
    fn check(&self, index: usize) -> Result<(), FiltersError> {
        let (what, value, range) = match *self {
            Self::Brightness { amount } => ("amount", amount, AMOUNTS),
            Self::Contrast { factor } | Self::Saturation { factor } => ("factor", factor, FACTORS),
            Self::Sharpen { amount } => ("amount", amount, FACTORS),
            Self::Denoise { strength } => ("strength", strength, STRENGTHS),
            Self::Blur { radius } => {
                let good = RADII.contains(&radius);
                return good.then_some(()).ok_or(FiltersError::Radius { index, radius });
            }
            Self::Rotate { degrees } => {
                let good = DEGREES.contains(&degrees);
                return good.then_some(()).ok_or(FiltersError::Degrees { index, degrees });
            }
            Self::Mirror { .. } => return Ok(()),
        };
        if range.contains(&value) {
            return Ok(());
        }
        Err(FiltersError::Value {
            index,
            what,
            value,
            range,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Axis, Filter, Filters, FiltersError, MAX_FILTERS};

    fn read(json: &str) -> Filters {
        serde_json::from_str(json).expect("filters")
    }

    #[test]
    fn a_chain_is_a_list_in_its_order() {
        let chain = read(
            r#"[{"type": "brightness", "amount": 0.1}, {"type": "mirror"}, {"type": "rotate", "degrees": 90}]"#,
        );
        let mirror = Filter::Mirror {
            axis: Axis::Horizontal,
        };
        assert_eq!(chain.0[1], mirror);
        assert_eq!(chain.0[2], Filter::Rotate { degrees: 90 });
        assert_eq!(chain.check(), Ok(()));
        assert_eq!(read(&serde_json::to_string(&chain).expect("text")), chain);
    }

    #[test]
    fn unknown_filters_and_members_are_refused_by_name() {
        for (json, named) in [
            (r#"[{"type": "sepia"}]"#, "sepia"),
            (r#"[{"type": "blur", "radius": 2, "sigma": 1}]"#, "sigma"),
            (r#"[{"type": "contrast"}]"#, "factor"),
        ] {
            let error = serde_json::from_str::<Filters>(json)
                .expect_err("wrong")
                .to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn values_out_of_range_are_refused_with_the_range() {
        for (filter, said) in [
            (
                Filter::Brightness { amount: -1.1 },
                "amount is -1.1; it must be from -1 to 1",
            ),
            (
                Filter::Contrast { factor: 4.5 },
                "factor is 4.5; it must be from 0 to 4",
            ),
            (Filter::Saturation { factor: f32::NAN }, "factor is NaN"),
            (Filter::Sharpen { amount: -0.5 }, "from 0 to 4"),
            (Filter::Denoise { strength: 2.0 }, "from 0 to 1"),
            (Filter::Blur { radius: 0 }, "radius is 0; it must be from 1 to 32"),
            (Filter::Blur { radius: 33 }, "radius is 33"),
            (
                Filter::Rotate { degrees: 45 },
                "degrees is 45; it must be 0, 90, 180 or 270",
            ),
        ] {
            let chain = Filters(vec![Filter::Mirror { axis: Axis::Vertical }, filter]);
            let error = chain.check().expect_err("out of range").to_string();
            assert!(error.starts_with("filter 1: ") && error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_chain_has_an_end() {
        let chain = |len| Filters(vec![Filter::Blur { radius: 1 }; len]);
        assert_eq!(chain(MAX_FILTERS).check(), Ok(()));
        assert_eq!(chain(9).check(), Err(FiltersError::TooMany(9)));
    }
}
