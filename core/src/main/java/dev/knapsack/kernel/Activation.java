package dev.knapsack.kernel;

/**
 * The activations of hidden layers: what is done to the gate before it multiplies the up
 * projection, or to this one where there is no gate.
 */
public enum Activation {
  /** {@code x · σ(x)}: SwiGLU. */
  SILU,
  /** The tanh approximation of GELU: GeGLU, as Gemma uses it. */
  GELU,
  /** {@code x · Φ(x)}, with the normal distribution's Φ: GELU itself, as encoders use it. */
  GELU_ERF,
  /** {@code tanh(x)}: heads of classifiers. */
  TANH,
  /** {@code max(x, 0)}: ReGLU. */
  RELU,
  /** {@code max(x, 0)²}. */
  RELU_SQUARED,
  /** {@code σ(x)}: gates of what layers that mix tokens give. */
  SIGMOID,
  /** {@code log(1 + e^x)}: steps of what is carried from token to token. */
  SOFTPLUS,
  /**
   * gpt-oss, gated: {@code g = min(g, 7)}, {@code u = clamp(u, ±7)}, {@code g · σ(1.702 g) · (u +
   * 1)}.
   */
  GPT_OSS;

  /** The refusal of a provider that is asked for it without a gate. */
  public IllegalArgumentException needsGate() {
    return new IllegalArgumentException(this + " is an activation of gated layers alone");
  }
}
