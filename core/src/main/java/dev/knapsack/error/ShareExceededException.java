package dev.knapsack.error;

/**
 * Thrown when a tenant's request would hold more of the cache than its share, and cannot wait until
 * its others hold less.
 */
public final class ShareExceededException extends KnapsackException {
  private final long requested;
  private final long held;
  private final long share;

  /**
   * @param requested bytes of the request
   * @param held bytes that the tenant's other requests hold
   * @param share bytes that all of them may hold
   */
  public ShareExceededException(long requested, long held, long share) {
    super(
        Kind.BUSY,
        "The request may need %,d bytes of cache, of %,d that its tenant may hold at once; %,d are held now. %s"
            .formatted(
                requested,
                share,
                held,
                requested > share
                    ? "Ask for a shorter answer (max tokens), with a shorter prompt, or for fewer"
                        + " at once."
                    : "Ask again when one of the tenant's answers has ended."));
    this.requested = requested;
    this.held = held;
    this.share = share;
  }

  /** Bytes of cache that the request may need. */
  public long requested() {
    return requested;
  }

  /** Bytes that others of the tenant held. */
  public long held() {
    return held;
  }

  /** Bytes that all of the tenant's may hold. */
  public long share() {
    return share;
  }

  /** Says whether the request alone is too large, so that it is of no use to ask again. */
  public boolean isTooLarge() {
    return requested > share;
  }
}
