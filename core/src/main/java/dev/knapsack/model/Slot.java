package dev.knapsack.model;

/** The use of a matrix of activations in the {@link Workspace}. */
enum Slot {
  /** The residual stream. */
  HIDDEN,
  /** The input of a block: the residual stream, normed. */
  NORMED,
  /** The result of a block, which is added to the residual stream. */
  DELTA,
  /** The same two of a part of {@link Parallel} blocks. */
  PART_NORMED,
  PART,
  /** The inputs of all layers, which are made before the first: see {@link PerLayerInputs}. */
  PER_LAYER,
  /** The other copies of the residual stream, and what the first was predicted: {@link AltUp}. */
  COPIES,
  PREDICTED,
  /** The factors that copies are predicted and corrected with. */
  COEFFICIENTS,
  /** The residual stream as a layer got it, where a block reads that. */
  LAYER_INPUT,
  QUERY,
  KEY,
  VALUE,
  /** Queries and keys by random directions, where these are cached. */
  QUERY_SKETCH,
  KEY_SKETCH,
  ATTENDED,
  /** For {@link OutputNorms}, where the cache's policy wants them. */
  NORMS,
  /** For {@link Retained}, where the cache's policy has gates. */
  GATE_UNITS,
  GATE_HEADS,
  GATE,
  UP,
  /** The second gate of {@link ShortConvolution}. */
  OUTPUT_GATE,
  /** Channels that are convolved, and what comes of it. */
  MIXED,
  CONVOLVED,
  /** Steps of the heads of {@link StateSpace}, and their results. */
  STEP,
  SCANNED,
  ROUTER,
  /** The rows that one expert is to compute. */
  GATHERED,
  /** The results of one expert. */
  EXPERT,
  /** The rows that experts read and write where these are narrower than the model. */
  LATENT,
  LATENT_DELTA,
  LOGITS
}
