package dev.knapsack.host;

/**
 * A tenant's part in its host's budget, where others want the same bytes.
 *
 * @param name of the account that all of its accounts are a part of; empty for one that has no
 *     account of its own, which can have no floor and has the usual weight
 * @param floor bytes that it can have whatever others want, its weights included
 * @param weight proportion in which it is given what several wait for; 1 is usual
 * @see dev.knapsack.memory.Account#entitle
 */
public record Share(String name, long floor, double weight) {
  /** A share without a name. */
  public static final Share USUAL = new Share("", 0, 1);

  public Share {
    if (name.isEmpty() && (floor != 0 || weight != 1)) {
      throw new IllegalArgumentException(
          "A share with a floor of %,d bytes and a weight of %s needs a name."
              .formatted(floor, weight));
    }
  }

  /** The name, in its host's budget, of an account of the tenant. */
  String account(String account) {
    return name.isEmpty() ? account : name + "/" + account;
  }
}
