"""The parts of `benchmarks.gpu_training`; they need torch alone, so that they run on a bare machine."""
