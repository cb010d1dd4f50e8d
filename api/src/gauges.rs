//! What the roles of this process say of themselves in numbers, read back from the text that `/metrics` shows: the api
//! does not know the other roles, and what an operator sees in two places should be one number.

/// Gauges and counters by name, each with its labels.
pub(crate) struct Gauges<'t> {
    lines: Vec<Gauge<'t>>,
}

struct Gauge<'t> {
    name: &'t str,
    /// As it stands: `group="g",topic="t"`.
    labels: &'t str,
    value: f64,
}

impl<'t> Gauges<'t> {
    /// From the Prometheus text format.
    pub fn of(text: &'t str) -> Self {
        let lines = text
            .lines()
            .filter(|line| line.starts_with("millrace_"))
            .filter_map(gauge);
        Self { lines: lines.collect() }
    }

    /// Of all that have the name; `None` without any.
    pub fn sum(&self, name: &str) -> Option<i64> {
        self.lines
            .iter()
            .filter(|gauge| gauge.name == name)
            .map(|gauge| gauge.value as i64)
            .reduce(|sum, value| sum + value)
    }

    /// The one with these labels among its own.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |gauge: &Gauge<'_>| labels.iter().all(|(label, value)| gauge.label(label) == Some(*value));
        let found = self.lines.iter().find(|gauge| gauge.name == name && has(gauge))?;
        Some(found.value)
    }

    /// The values that these labels have among those of a name, with the numbers.
    pub fn labelled<const N: usize>(&self, name: &str, labels: [&str; N]) -> impl Iterator<Item = ([&'t str; N], f64)> {
        let of_name = self.lines.iter().filter(move |gauge| gauge.name == name);
        of_name.filter_map(move |gauge| {
            let values: Vec<&'t str> = labels.iter().filter_map(|label| gauge.label(label)).collect();
            Some((values.try_into().ok()?, gauge.value))
        })
    }
}

impl<'t> Gauge<'t> {
    fn label(&self, name: &str) -> Option<&'t str> {
        self.labels.split("\",").find_map(|label| {
            let value = label.trim_end_matches('"').strip_prefix(name)?;
            value.strip_prefix("=\"")
        })
    }
}

fn gauge(line: &str) -> Option<Gauge<'_>> {
    let (metric, value) = line.rsplit_once(' ')?;
    let (name, labels) = match metric.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (metric, ""),
    };
    Some(Gauge {
        name,
        labels,
        value: value.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_name_and_label() {
        let text = "# TYPE millrace_in_flight gauge\nmillrace_in_flight{group=\"a\"} 3\nmillrace_in_flight{group=\"b\"} 4\n\
                    millrace_lag{group=\"a\",topic=\"t\",partition=\"1\"} 7\nmillrace_waiters 2\nother 9\n";
        let gauges = Gauges::of(text);
        assert_eq!(gauges.sum("millrace_in_flight"), Some(7));
        assert_eq!(gauges.sum("millrace_waiters"), Some(2));
        assert_eq!(gauges.sum("other"), None);
        assert_eq!(
            gauges.get("millrace_lag", &[("partition", "1"), ("topic", "t")]),
            Some(7.0)
        );
        assert_eq!(gauges.get("millrace_lag", &[("partition", "2")]), None);
        let by_group: Vec<_> = gauges.labelled("millrace_in_flight", ["group"]).collect();
        assert_eq!(by_group, [(["a"], 3.0), (["b"], 4.0)]);
        assert_eq!(gauges.labelled("millrace_lag", ["partition", "colour"]).count(), 0);
    }
}
