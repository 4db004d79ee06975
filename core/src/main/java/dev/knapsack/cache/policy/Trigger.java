package dev.knapsack.cache.policy;

/** The time at which a cache is brought back to its size: the fourth part of a {@link Recipe}. */
public sealed interface Trigger {
  /** The trigger as it is written in a recipe. */
  String name();

  /**
   * The tokens by which a head may pass what it keeps, before it is brought back; {@link
   * Integer#MAX_VALUE} for any number.
   */
  int slack();

  /**
   * Says whether it is time after a step.
   *
   * @param surplus tokens that a head holds more than it keeps
   * @param ahead tokens of the prompt that are yet to be read: 0 when the step has ended it, below
   *     0 when it came after it
   */
  boolean due(int surplus, int ahead);

  /** The tokens that stay when it is time, of those that a head may keep. */
  default int stay(int tokens) {
    return tokens;
  }

  /**
   * Says whether the next time that is due counts rows of a step.
   *
   * @param ahead as above, when the step has ended
   * @param looked rows before that time that count
   */
  default boolean countsRows(int ahead, int looked) {
    return true;
  }

  /**
   * Brings heads back whenever one holds a block more than it keeps, while the prompt is read too:
   * so that the cache never grows past that and one step.
   *
   * @param tokens of a block
   */
  record Block(int tokens) implements Trigger {
    public Block {
      if (tokens < 1) {
        throw new IllegalArgumentException("A block has 1 token or more, not " + tokens);
      }
    }

    @Override
    public String name() {
      return "block(" + tokens + ")";
    }

    @Override
    public int slack() {
      return tokens - 1;
    }

    @Override
    public boolean due(int surplus, int ahead) {
      return surplus >= tokens;
    }
  }

  /**
   * Brings heads back whenever one holds more than it keeps, while the prompt is read too: then
   * half of what it keeps stays, so that this is seldom.
   */
  record Half() implements Trigger {
    @Override
    public String name() {
      return "half";
    }

    @Override
    public int slack() {
      return 0;
    }

    @Override
    public boolean due(int surplus, int ahead) {
      return surplus > 0;
    }

    @Override
    public int stay(int tokens) {
      return Math.max(1, tokens - tokens / 2);
    }
  }

  /**
   * Brings heads back once, when the prompt has been read: it is held whole until then, and all of
   * the answer.
   */
  record Prompt() implements Trigger {
    @Override
    public String name() {
      return "prompt";
    }

    @Override
    public int slack() {
      return Integer.MAX_VALUE;
    }

    @Override
    public boolean due(int surplus, int ahead) {
      return surplus > 0 && ahead == 0;
    }

    @Override
    public boolean countsRows(int ahead, int looked) {
      return ahead >= 0 && ahead < looked;
    }
  }

  /**
   * Brings heads back whenever one holds a block more than it keeps, as {@link Block} does, and
   * when the prompt has been read: so that what is kept of it was chosen with all of it known.
   *
   * @param tokens of a block
   */
  record PromptBlocks(int tokens) implements Trigger {
    public PromptBlocks {
      if (tokens < 1) {
        throw new IllegalArgumentException("A block has 1 token or more, not " + tokens);
      }
    }

    @Override
    public String name() {
      return "prompt(" + tokens + ")";
    }

    @Override
    public int slack() {
      return tokens - 1;
    }

    @Override
    public boolean due(int surplus, int ahead) {
      return surplus >= tokens || (surplus > 0 && ahead == 0);
    }
  }

  /** Brings heads back when the prompt has been read, and after each step of the answer. */
  record Step() implements Trigger {
    @Override
    public String name() {
      return "step";
    }

    @Override
    public int slack() {
      return Integer.MAX_VALUE;
    }

    @Override
    public boolean due(int surplus, int ahead) {
      return surplus > 0 && ahead <= 0;
    }

    @Override
    public boolean countsRows(int ahead, int looked) {
      return ahead < looked;
    }
  }
}
