package dev.knapsack.kernel;

/** The gated activations: what is done to the gate before it multiplies the up projection. */
public enum Activation {
  /** {@code x · σ(x)}: SwiGLU. */
  SILU,
  /** The tanh approximation of GELU: GeGLU, as Gemma uses it. */
  GELU,
  /** {@code max(x, 0)²}. */
  RELU_SQUARED,
  /** {@code σ(x)}: gates of what layers that mix tokens give. */
  SIGMOID,
  /** gpt-oss: {@code g = min(g, 7)}, {@code u = clamp(u, ±7)}, {@code g · σ(1.702 g) · (u + 1)}. */
  GPT_OSS
}
