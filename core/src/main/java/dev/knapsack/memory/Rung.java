package dev.knapsack.memory;

/** The pressure ladder: who is asked first to give back when a lease does not fit. */
public enum Rung {
  /** Forget which tokens may follow in constrained answers: that is found out anew in no time. */
  DROP_MASKS,
  /** Forget cached prefixes that no sequence uses. */
  DROP_PREFIXES,
  /** Write cached keys and values of waiting sequences to disk. */
  SPILL_CACHE,
  /** Store cached keys and values in fewer bits. */
  COMPRESS_CACHE,
  /** Keep fewer experts. */
  SHRINK_EXPERTS
}
