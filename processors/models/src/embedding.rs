/// Vectors in the order of the texts asked for, each as long as the model's `dimension`.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbedResponse {
    pub vectors: Vec<Vec<f32>>,
    /// The model as the provider names it.
    pub model: String,
}
