package dev.knapsack.text.answer;

import com.google.gson.JsonObject;
import dev.knapsack.generation.Event;
import dev.knapsack.message.Tool;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A reader of answers that are several messages, each with a channel and perhaps a recipient, as
 * gpt-oss writes them (OpenAI's harmony format): what is for the channel {@code analysis} is
 * reasoning, what is to a recipient a call, all else text.
 */
final class HarmonyReader extends StepReader {
  private static final String START = "<|start|>";
  private static final String MESSAGE = "<|message|>";
  private static final List<String> ENDS = List.of("<|end|>", "<|call|>", "<|return|>", START);
  private static final List<String> HEADS =
      List.of(START, MESSAGE, "<|channel|>", "<|constrain|>", "to=");

  /** Tokens that the text of an answer must show. */
  static final List<String> TOKENS =
      List.of(START, MESSAGE, "<|channel|>", "<|constrain|>", "<|end|>", "<|call|>", "<|return|>");

  private static final Pattern RECIPIENT = Pattern.compile("\\bto=(?:functions\\.)?([\\w.:/-]+)");
  private static final Pattern ANALYSIS = Pattern.compile("<\\|channel\\|>\\s*analysis\\b");

  /** Arguments as far as it is certain that they are some. */
  private static final Pattern ARGUMENTS = Pattern.compile("\\s*\\{\\s*[\"}]");

  private enum Kind {
    TEXT,
    REASONING,
    CALL
  }

  private final boolean tools;
  private final Schemas schemas;

  /** The text before the message; empty where there is none. */
  private String head = "";

  private boolean inMessage;
  private Kind kind = Kind.TEXT;
  private String recipient = "";
  private boolean spoken;

  /** True while the arguments of a call are given as they come. */
  private boolean calling;

  HarmonyReader(List<Tool> tools, PartWriter parts) {
    super(parts);
    this.tools = !tools.isEmpty();
    this.schemas = new Schemas(tools);
  }

  @Override
  boolean step(boolean last, Consumer<Event> out) {
    return inMessage ? message(last, out) : head(last, out);
  }

  private boolean head(boolean last, Consumer<Event> out) {
    int found = Marks.indexOf(waiting, MESSAGE, 0);
    if (found >= 0 && isHead()) {
      begin(waiting.substring(0, found + MESSAGE.length()));
      waiting.delete(0, found + MESSAGE.length());
      return true;
    }
    if (!last && isHead()) {
      return false;
    }
    if (!waiting.isEmpty()) {
      begin("");
    }
    if (isHead()) { // it never came to a message
      write(waiting.toString(), out);
      waiting.setLength(0);
    }
    return !waiting.isEmpty();
  }

  /** Says whether what waits can stand before a message, as far as it has come. */
  private boolean isHead() {
    String begun = waiting.toString().stripLeading();
    return HEADS.stream().anyMatch(h -> begun.startsWith(h) || h.startsWith(begun));
  }

  private void begin(String opening) {
    Kind before = kind;
    head = opening;
    Matcher to = RECIPIENT.matcher(opening);
    boolean call = tools && to.find() && !to.group(1).equals("assistant");
    kind = call ? Kind.CALL : ANALYSIS.matcher(opening).find() ? Kind.REASONING : Kind.TEXT;
    recipient = call ? to.group(1) : "";
    inMessage = true;
    if (before == kind && kind != Kind.CALL && spoken) {
      write("\n\n", _ -> {}); // blanks wait for what follows them
    }
  }

  private boolean message(boolean last, Consumer<Event> out) {
    int found = waiting.length();
    String end = "";
    for (String one : ENDS) {
      int at = Marks.indexOf(waiting, one, 0);
      if (at >= 0 && at < found) {
        found = at;
        end = one;
      }
    }
    if (kind == Kind.CALL && !calling) {
      calling = beginsCall(waiting.substring(0, found), out);
      if (!calling && end.isEmpty() && !last) {
        return false;
      }
      found -= calling ? dropBlanks() : 0;
    }
    boolean ended = !end.isEmpty();
    String body = waiting.substring(0, ended || last ? found : Marks.held(waiting, ENDS));
    waiting.delete(0, body.length());
    if (calling) {
      parts.arguments(body, out);
      calling = !ended && !last;
      if (!calling) {
        parts.endCall(out);
      }
    } else if (kind == Kind.CALL) {
      call(body, out);
    } else {
      write(body, out);
    }
    if (!ended) {
      return false;
    }
    if (!end.equals(START)) {
      waiting.delete(0, end.length());
    }
    inMessage = false;
    return true;
  }

  private boolean beginsCall(String body, Consumer<Event> out) {
    boolean begins = schemas.has(recipient) && ARGUMENTS.matcher(body).lookingAt();
    if (begins) {
      parts.beginCall(null, recipient, out);
    }
    return begins;
  }

  /** Drops the blanks before arguments; how many there are. */
  private int dropBlanks() {
    int blanks = waiting.indexOf("{");
    waiting.delete(0, blanks);
    return blanks;
  }

  private void write(String body, Consumer<Event> out) {
    spoken |= !body.isBlank();
    if (kind == Kind.REASONING) {
      parts.reasoning(body, out);
    } else {
      parts.text(body, out);
    }
  }

  private void call(String body, Consumer<Event> out) {
    Optional<Call> call =
        StrictJson.parse(body)
            .filter(JsonObject.class::isInstance)
            .map(arguments -> new Call(null, recipient, (JsonObject) arguments));
    if (call.isPresent()) {
      parts.calls(List.of(call.get()), out);
    } else {
      parts.text(head + body, out);
    }
  }
}
