package dev.knapsack.engine;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** A step that a model computed, in a recording: its duration is the step's. */
@Name("dev.knapsack.Step")
@Label("Step")
@Category("Knapsack")
@Description("A model computed a token for each sequence that writes, and parts of prompts")
@StackTrace(false)
@SuppressWarnings("unused") // the recorder reads the fields
final class StepEvent extends Event {
  @Label("Model")
  private final String model;

  @Label("Sequences")
  @Description("Sequences, or texts of an encoder, that the step computed for")
  private int sequences;

  @Label("Tokens")
  @Description("Tokens that were computed, of prompts and of answers")
  private int tokens;

  @Label("Prompt Tokens")
  @Description("Of these, tokens of prompts")
  private int promptTokens;

  @Label("Waiting")
  @Description("Requests that wait for a sequence, or texts for a step")
  private int waiting;

  @Label("Cache")
  @Description("Bytes of the account of caches, prefixes included; none for an encoder")
  @DataAmount
  private long cache;

  @Label("Used")
  @Description("Bytes of the budget in use")
  @DataAmount
  private long used;

  StepEvent(String model) {
    this.model = model;
    begin();
  }

  void end(
      int itsSequences,
      int itsTokens,
      int itsPromptTokens,
      int waitingNow,
      long cacheNow,
      long usedNow) {
    end();
    sequences = itsSequences;
    tokens = itsTokens;
    promptTokens = itsPromptTokens;
    waiting = waitingNow;
    cache = cacheNow;
    used = usedNow;
    commit();
  }
}
