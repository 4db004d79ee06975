package dev.knapsack.cache.policy;

import dev.knapsack.cache.CachedHead;
import java.util.Optional;

/**
 * Tokens that the last query rows look at, and those that only some of them look at all the more:
 * the eviction indicator of CAKE (Qin et al., arXiv 2503.12491), {@code mean + γ·variance} of a
 * token's weights over the window, averaged over {@value ObservationWindow#POOL} neighbours.
 *
 * @param rows of the window, whose tokens always stay: 32 in the paper's code
 * @param gamma 200 there
 */
record Varied(int rows, int gamma) implements Scorer {
  Varied {
    ObservationWindow.check(rows);
  }

  @Override
  public String name() {
    return "varied(" + rows + "," + gamma + ")";
  }

  @Override
  public Optional<Moments> moments() {
    return Optional.of(new Moments(rows));
  }

  @Override
  public void score(CachedHead head, float[] out) {
    Moments.OfTokens moments = new Moments(rows).of(head);
    float[] scores = moments.mean();
    for (int i = 0; i < scores.length; i++) {
      scores[i] += gamma * moments.variance()[i];
    }
    ObservationWindow.pool(scores, head.count() - ObservationWindow.keepLast(head, rows, out), out);
  }
}
