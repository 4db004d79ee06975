package dev.knapsack.engine;

import static dev.knapsack.engine.GoldenSessions.join;
import static dev.knapsack.engine.GoldenSessions.request;
import static dev.knapsack.engine.GoldenSessions.say;
import static dev.knapsack.engine.GoldenSessions.tokens;
import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.store.CacheStore;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Sessions of a model whose cached keys hold their values: as those of any other. */
class LatentSessionTest {
  private static final String MODEL = "deepseek2_mla";

  @TempDir private Path folder;

  @Test
  void turnsGoOnAreEditedSavedAndRestored() {
    GoldenSessions.with(
        MODEL,
        false,
        engine -> {
          try (Session session = engine.session();
              Session other = engine.session()) {
            int[] first = tokens(100, 1);
            int[] turn = join(first, say(engine, session, first, 0));
            int end = turn.length - 1; // the last token has been chosen and not read
            say(engine, session, join(turn, tokens(20, 2)), end);
            say(engine, session, join(turn, tokens(15, 3)), turn.length);
            say(engine, session, join(Arrays.copyOf(turn, 77), tokens(15, 4)), 77);

            CacheStore store = new CacheStore(folder, CacheStore.USUAL_BYTES);
            session.save(store, "a", CacheStore.Precision.AS_STORED);
            int kept = other.restore(store, "a");
            assertThat(kept).isEqualTo(session.cachedTokens()).isGreaterThan(90);
            say(engine, other, join(Arrays.copyOf(turn, 77), tokens(3, 5)), 77);
            for (Answer sample : engine.start(request(first), 3)) {
              assertThat(join(first, tokens(sample))).isEqualTo(turn);
            }
          }
        });
  }

  @Test
  void requestsShareWhatTheyBeginWith() {
    GoldenSessions.with(
        MODEL,
        true,
        engine -> {
          int[] first = tokens(150, 6);
          int[] said = tokens(engine.start(request(first)));
          Answer again = engine.start(request(first));
          assertThat(tokens(again)).isEqualTo(said);
          assertThat(again.usage().cachedTokens()).isEqualTo(128);
        });
  }
}
