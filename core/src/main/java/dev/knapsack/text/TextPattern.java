package dev.knapsack.text;

import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.knapsack.error.ModelFileException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * A pattern of a {@code tokenizer.json}: a string to be found as it is, or a regular expression.
 *
 * @param literal the string, or an empty one
 */
record TextPattern(Component where, Pattern pattern, String literal) {

  /** Takes the stretches that a text is made of: matches, and what lies between them. */
  interface Sink {
    void stretch(int from, int to, boolean match);
  }

  /** The pattern of a component's field {@code pattern}. */
  static TextPattern read(Component component) {
    JsonObject json = component.part("pattern").json();
    if (json.get("String") instanceof JsonPrimitive text) {
      String literal = text.getAsString();
      return new TextPattern(component, Pattern.compile(Pattern.quote(literal)), literal);
    }
    if (json.get("Regex") instanceof JsonPrimitive regex) {
      try {
        return new TextPattern(component, OnigPattern.compile(regex.getAsString()), "");
      } catch (PatternSyntaxException e) {
        throw new ModelFileException(
            component.file(),
            component.place() + ".pattern.Regex",
            "'"
                + regex.getAsString()
                + "' is no regular expression that is supported: "
                + e.getDescription(),
            e);
      }
    }
    throw component.wrong("pattern", "must have a String or a Regex, and is " + json);
  }

  /** A pattern that stands in no file. */
  static TextPattern of(Component component, String regex) {
    return new TextPattern(component, OnigPattern.compile(regex), "");
  }

  /** Cuts characters {@code from} to {@code to}, as if they were the whole text. */
  void cut(String text, int from, int to, Sink sink) {
    if (from == to) {
      return;
    }
    Matcher matcher = pattern.matcher(text).region(from, to);
    int done = from;
    int last = -1;
    try {
      while (matcher.find()) {
        int start = matcher.start();
        int end = matcher.end();
        // As its library does, an empty match is passed over where the last one ended.
        if (start == end && (end == last || splitsCharacter(text, end))) {
          continue;
        }
        if (done < start) {
          sink.stretch(done, start, false);
        }
        sink.stretch(start, end, true);
        done = end;
        last = end;
      }
    } catch (StackOverflowError e) {
      throw new ModelFileException(
          where.file(),
          where.place() + ".pattern",
          "matching it in a text of "
              + (to - from)
              + " characters needs more stack than a thread has; a shorter text would work",
          e);
    }
    if (done < to) {
      sink.stretch(done, to, false);
    }
  }

  private static boolean splitsCharacter(String text, int at) {
    return at > 0
        && at < text.length()
        && Character.isHighSurrogate(text.charAt(at - 1))
        && Character.isLowSurrogate(text.charAt(at));
  }
}
