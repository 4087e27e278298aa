"""Language models as analyzers: one tool loop, several providers. What a model says is data, and is never needed."""
