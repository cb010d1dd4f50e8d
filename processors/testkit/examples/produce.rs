use std::{env, error::Error, time::Duration};

use rdkafka::{
    ClientConfig,
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use schema_registry_converter::{
    async_impl::{easy_avro::EasyAvroEncoder, schema_registry::SrSettings},
    schema_registry_common::SubjectNameStrategy,
};

#[derive(serde::Serialize)]
struct Request {
    request_id: Option<String>,
    chain: String,
    input: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let topic = "millrace.requests";
    let request = Request {
        request_id: None, // derived from where the record lies
        chain: "answer".to_owned(),
        input: r#"{"question": "What is the map of completed offsets?"}"#.to_owned(),
    };
    let encoder = EasyAvroEncoder::new(SrSettings::new(env::var("REGISTRY")?));
    let subject = SubjectNameStrategy::TopicNameStrategy(topic.to_owned(), false);
    let value = encoder.encode_struct(request, &subject).await?;

    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", env::var("KAFKA")?)
        .set("partitioner", "murmur2_random") // as Java clients do
        .create()?;
    let record = BaseRecord::to(topic).key("customer-7").payload(&value);
    producer.send(record).map_err(|(error, _)| error)?;
    producer.flush(Duration::from_secs(10))?;
    println!("sent");
    Ok(())
}
