"""May it go now? Buckets, rate headers, and what refusals teach."""
