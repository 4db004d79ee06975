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
  /** The residual stream as a layer got it, where a block reads that. */
  LAYER_INPUT,
  /** The inputs of all layers, which are made before the first: see {@link PerLayerInputs}. */
  PER_LAYER,
  /** The bank's rows of tokens, and a layer's gates of these: see {@link ValueEmbeddings}. */
  VALUE_BANK,
  VALUE_GATES,
  /** The other copies of the residual stream, and what the first was predicted: {@link AltUp}. */
  COPIES,
  PREDICTED,
  /** The results of blocks before, the embedding first: {@link EarlierOutputs}. */
  EARLIER,
  /** The factors that copies are predicted and corrected with. */
  COEFFICIENTS,
  QUERY,
  KEY,
  VALUE,
  /** Queries of {@link LatentAttention} in the numbers that all heads' are made of. */
  QUERY_SOURCE,
  /** Its rows that hold values, before they are joined with what is rotated of keys. */
  KEY_CONTENT,
  KEY_ROTATED,
  QUERY_ROTATED,
  /** Some rows of its heads, head by head, and what the heads' matrices make of them. */
  BY_HEAD,
  FROM_HEADS,
  /** Its queries as they meet cached rows. */
  ABSORBED,
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
  /** One product's results for several uses; channels that are convolved, and what comes of it. */
  MIXED,
  CONVOLVED,
  /**
   * Steps of the heads of a recurrence, or channels, what {@link DeltaRule} writes, and results.
   */
  STEP,
  STRENGTH,
  SCANNED,
  /**
   * Activations times factors of a matrix's columns, and what each adds: {@link Linear.Columns}.
   */
  SCALED,
  SUMS,
  /**
   * The part of tokens that a state has kept, where attention reads it: {@link EideticAttention}.
   */
  FADING,
  /** The distance of tokens from what was predicted, by which they are kept. */
  INNOVATION,
  /** The few numbers between the two projections that some are made of. */
  LOW_RANK,
  /** Numbers that states are written by, and read, where they are products of their own. */
  STATE_IN,
  STATE_OUT,
  /** The way from rows to those before: {@link TokenShift}. */
  BACK,
  /** The rates of {@link TimeMix}; the share of the first layer's values, and these. */
  RATE,
  SHARE,
  FIRST_VALUE,
  ROUTER,
  /** The rows that one expert is to compute. */
  GATHERED,
  /** The results of one expert. */
  EXPERT,
  /** The rows that experts read and write where these are narrower than the model. */
  LATENT,
  LATENT_DELTA,
  /** The vectors of texts, and what a step of an {@link Encoding}'s head makes of them. */
  POOLED,
  POOLED_NEXT,
  LOGITS
}
