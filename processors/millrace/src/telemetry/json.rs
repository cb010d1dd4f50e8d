//! The log as JSON, one object a line.
//!
//! In the form that tracing-subscriber ships, a field that is an error says its outermost words only. Here it says the
//! causes too, as its form for people does: they are what an operator needs.

use std::{error::Error, fmt};

use schemas::Timestamp;
use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, format::Writer},
    registry::LookupSpan,
};

use super::with_causes;

/// Expects the fields of spans as `JsonFields` writes them.
pub struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Line(Map::new());
        line.put("timestamp", Timestamp::now().to_string());
        line.put("level", event.metadata().level().as_str());
        event.record(&mut line);
        line.put("target", event.metadata().target());
        if let Some(span) = context.lookup_current() {
            let mut told = span
                .extensions()
                .get::<FormattedFields<N>>()
                .and_then(|fields| serde_json::from_str(&fields.fields).ok())
                .unwrap_or_else(Map::new);
            told.insert("name".to_owned(), span.name().into());
            line.put("span", told);
        }
        writeln!(writer, "{}", Value::Object(line.0))
    }
}

struct Line(Map<String, Value>);

impl Line {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Line {
    fn record_error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        let told = with_causes(error);
        self.put(field.name(), told);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::{
        fmt::{format::JsonFields, layer},
        prelude::*,
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_tells_an_error_with_its_causes_and_the_run_it_belongs_to() {
        let written = Lines::default();
        let lines = written.clone();
        let layer = layer()
            .event_format(JsonLines)
            .fmt_fields(JsonFields::new())
            .with_writer(move || lines.clone());
        let error = anyhow::anyhow!("connection refused").context("the registry is away");
        let error: &dyn Error = error.as_ref();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let _run = tracing::info_span!("run", request_id = "r-1").entered();
            tracing::warn!(error, partition = 3, "cannot go on");
        });

        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "cannot go on");
        assert_eq!(line["error"], "the registry is away: connection refused");
        assert_eq!(line["partition"], 3);
        assert_eq!(line["span"]["request_id"], "r-1");
        assert_eq!(line["span"]["name"], "run");
    }
}
