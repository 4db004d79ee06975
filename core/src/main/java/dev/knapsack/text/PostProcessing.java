package dev.knapsack.text;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The tokens that a {@code tokenizer.json} puts around those of a text: its {@code post_processor},
 * worked out beforehand.
 *
 * @param around the tokens in their order, with {@link #TEXT} where those of the text stand
 */
record PostProcessing(int[] around) {
  /** The place of the text. */
  static final int TEXT = -1;

  private static final String KNOWN =
      "BertProcessing, ByteLevel, RobertaProcessing, Sequence, TemplateProcessing";

  /**
   * Works out what stands around a text.
   *
   * @param addSpecial whether special tokens are to be added
   * @param vocabulary ids from here on are in no vocabulary
   */
  static PostProcessing read(@Nullable Component component, boolean addSpecial, int vocabulary) {
    List<int[]> parts = List.of(new int[] {TEXT});
    if (component != null) {
      parts = apply(component, parts, addSpecial, vocabulary);
    }
    IntList around = new IntList();
    parts.forEach(part -> {
      for (int token : part) {
        around.add(token);
      }
    });
    return new PostProcessing(around.toArray());
  }

  /** Parts are what one processor leaves to the next: the text, and tokens that were added. */
  private static List<int[]> apply(
      Component component, List<int[]> parts, boolean addSpecial, int vocabulary) {
    return switch (component.type()) {
      case "ByteLevel" -> parts;
      case "Sequence" -> {
        List<int[]> now = parts;
        for (Component one : component.parts("processors")) {
          now = apply(one, now, addSpecial, vocabulary);
        }
        yield now;
      }
      case "BertProcessing" -> addSpecial ? bert(component, parts, vocabulary, false) : parts;
      case "RobertaProcessing" -> addSpecial ? bert(component, parts, vocabulary, true) : parts;
      case "TemplateProcessing" -> template(component, parts, addSpecial, vocabulary);
      default -> throw component.unknownType(KNOWN);
    };
  }

  private static List<int[]> bert(
      Component component, List<int[]> parts, int vocabulary, boolean roberta) {
    int first = pair(component, "cls", vocabulary);
    int last = pair(component, "sep", vocabulary);
    List<int[]> result = new ArrayList<>();
    for (int[] part : parts) {
      IntList tokens = new IntList();
      if (result.isEmpty()) {
        tokens.add(first);
      } else if (roberta) {
        tokens.add(last);
      }
      for (int token : part) {
        tokens.add(token);
      }
      tokens.add(last);
      result.add(tokens.toArray());
    }
    return result;
  }

  private static int pair(Component component, String field, int vocabulary) {
    if (component.json().get(field) instanceof JsonArray pair
        && pair.size() == 2
        && pair.get(1) instanceof JsonPrimitive id
        && id.isNumber()) {
      return id(component, field, id, vocabulary);
    }
    throw component.wrong(field, "must be a token and its id");
  }

  private static int id(Component component, String field, JsonElement json, int vocabulary) {
    long id = json instanceof JsonPrimitive number && number.isNumber() ? number.getAsLong() : -1;
    if (id < 0 || id >= vocabulary) {
      throw component.wrong(
          field, json + " is not in the vocabulary, which ends at " + (vocabulary - 1));
    }
    return (int) id;
  }

  private static List<int[]> template(
      Component component, List<int[]> parts, boolean addSpecial, int vocabulary) {
    if (parts.size() > 2) {
      throw component.wrong(
          "single", "a template for one text or two follows what makes " + parts.size() + " parts");
    }
    List<int[]> result = new ArrayList<>();
    for (Component piece : component.parts(parts.size() == 1 ? "single" : "pair")) {
      if (piece.has("Sequence")) {
        boolean isFirst = piece.part("Sequence").text("id").equals("A");
        if (!isFirst && parts.size() == 1) {
          throw piece.wrong("Sequence.id", "a template for one text has no B");
        }
        result.add(parts.get(isFirst ? 0 : 1));
      } else if (addSpecial) {
        String name = piece.part("SpecialToken").text("id");
        if (!(component.part("special_tokens").json().get(name) instanceof JsonObject token
            && token.get("ids") instanceof JsonArray ids)) {
          throw component.wrong("special_tokens", "has no '" + name + "' with its ids");
        }
        IntList tokens = new IntList();
        ids.forEach(id -> tokens.add(id(component, "special_tokens", id, vocabulary)));
        result.add(tokens.toArray());
      }
    }
    return result;
  }

  /** This processing with a token first, or without it. */
  PostProcessing withFirst(int token, boolean there) {
    boolean is = around.length > 0 && around[0] == token;
    if (token < 0 || is == there) {
      return this;
    }
    IntList tokens = new IntList();
    if (there) {
      tokens.add(token);
    }
    for (int i = there ? 0 : 1; i < around.length; i++) {
      tokens.add(around[i]);
    }
    return new PostProcessing(tokens.toArray());
  }

  /** This processing with a token last, or without it. */
  PostProcessing withLast(int token, boolean there) {
    boolean is = around.length > 0 && around[around.length - 1] == token;
    if (token < 0 || is == there) {
      return this;
    }
    IntList tokens = new IntList();
    for (int i = 0; i < around.length - (there ? 0 : 1); i++) {
      tokens.add(around[i]);
    }
    if (there) {
      tokens.add(token);
    }
    return new PostProcessing(tokens.toArray());
  }

  /** Puts the tokens of a text in their place. */
  int[] apply(int[] text) {
    IntList all = new IntList();
    for (int token : around) {
      if (token == TEXT) {
        all.addAll(text);
      } else {
        all.add(token);
      }
    }
    return all.toArray();
  }

  /** Says whether a text has at least one place. */
  boolean keepsText() {
    for (int token : around) {
      if (token == TEXT) {
        return true;
      }
    }
    return false;
  }
}
