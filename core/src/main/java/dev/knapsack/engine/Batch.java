package dev.knapsack.engine;

import dev.knapsack.model.Run;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a step computes: the next token of every answer that is being written, and parts of prompts
 * in the room that is left.
 *
 * @param answers those that it computes for
 * @param runs what it computes for each of them
 */
record Batch(List<Answer> answers, List<Run> runs) {
  /**
   * The next step for those of {@code live} that are wanted, first come first served: the next
   * tokens of answers before parts of prompts, and what may not depend on others before the rest.
   *
   * @param live answers that have a sequence and have not ended
   * @param all whether all of them are wanted: others wait for their sequences
   */
  static Batch next(List<Answer> live, boolean all, Scheduler.Limits limits) {
    List<Answer> wanted = new ArrayList<>();
    for (Answer answer : live) {
      if (all ? answer.leader == null : answer.wanted()) {
        if (answer.session.pending() > 1) {
          answer.skipped(answer.session.advance());
        }
        wanted.add(answer);
      }
    }
    Map<Answer, Run> runs = new LinkedHashMap<>();
    int room = limits.tokens();
    for (boolean writing : new boolean[] {true, false}) {
      for (Answer answer : wanted) {
        Session session = answer.session;
        if ((session.pending() == 1) == writing && room > 0) {
          Chunk chunk =
              session.kind() == Run.Kind.PROMPT
                  ? Chunk.fixed(session.state(), session.pending(), room, limits.fixedChunk())
                  : Chunk.next(session.state(), session.pending(), room, limits.chunk());
          if (chunk.tokens() > 0) {
            runs.put(answer, session.run(chunk));
            room -= chunk.rows();
          }
        }
      }
    }
    List<Map.Entry<Answer, Run>> ordered = new ArrayList<>(runs.entrySet());
    ordered.sort(Comparator.comparing(e -> e.getValue().kind()));
    return new Batch(
        ordered.stream().map(Map.Entry::getKey).toList(),
        ordered.stream().map(Map.Entry::getValue).toList());
  }
}
