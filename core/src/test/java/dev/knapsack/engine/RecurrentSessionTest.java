package dev.knapsack.engine;

import static dev.knapsack.engine.GoldenSessions.join;
import static dev.knapsack.engine.GoldenSessions.request;
import static dev.knapsack.engine.GoldenSessions.say;
import static dev.knapsack.engine.GoldenSessions.tokens;
import static org.assertj.core.api.Assertions.assertThat;

import dev.knapsack.cache.store.CacheStore;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Sessions of models whose layers carry states: all that a session does equals computing anew. */
class RecurrentSessionTest {
  @TempDir private Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "mamba2",
        "lfm2",
        "falcon-h1",
        "mamba",
        "jamba",
        "nemotron_h",
        "plamo2",
        "rwkv7",
        "arwkv7"
      })
  void turnsGoOnAreEditedSavedAndRestored(String name) {
    GoldenSessions.with(
        name,
        true,
        engine -> {
          try (Session session = engine.session();
              Session other = engine.session()) {
            int[] first = tokens(100, 1);
            int[] turn = join(first, say(engine, session, first, 0));
            int end = turn.length - 1; // the last token has been chosen and not read
            int[] second = join(turn, tokens(20, 2));
            say(engine, session, second, end);
            // The last turn is edited twice, and then written again.
            say(engine, session, join(turn, tokens(15, 3)), end);
            int[] edited = join(turn, tokens(18, 4));
            int[] long2 = join(edited, say(engine, session, edited, end));
            say(engine, session, edited, end);
            // The first answer was another one after all: that turn is no longer among the last
            // two, but a block of its prompt has ended before.
            say(engine, session, join(first, tokens(12, 5)), 64);
            say(engine, session, long2, 128);

            CacheStore store = new CacheStore(folder, CacheStore.USUAL_BYTES);
            session.save(store, "a", CacheStore.Precision.AS_STORED);
            int kept = other.restore(store, "a");
            assertThat(kept).isEqualTo(session.cachedTokens());
            int[] all = join(long2, tokens(engine.start(request(long2))));
            say(engine, other, join(all, tokens(9, 6)), kept);

            List<Answer> samples = engine.start(request(first), 3);
            for (Answer sample : samples) {
              assertThat(join(first, tokens(sample))).isEqualTo(turn);
            }
          }
        });
  }
}
