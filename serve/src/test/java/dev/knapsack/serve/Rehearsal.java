package dev.knapsack.serve;

import dev.knapsack.Generation;
import dev.knapsack.error.KnapsackException;
import dev.knapsack.error.LogitsException;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Usage;
import dev.knapsack.message.Message;
import dev.knapsack.message.Part;
import dev.knapsack.message.Role;
import java.util.List;

/** Answers that the embedded model does not give, which neither thinks nor calls tools. */
public final class Rehearsal {
  public static final Part.ToolCall FIRST = new Part.ToolCall("call_0", "f", "{\"x\":1}");
  public static final Part.ToolCall SECOND = new Part.ToolCall("call_1", "g", "{}");
  public static final Usage USAGE = new Usage(10, 4, 7, 0.5, 0.25, 0, 0, 0);

  /** An answer with thoughts, text and two calls. */
  public static final List<Event> EVENTS =
      List.of(
          new Event.Reasoning("Hm."),
          new Event.Reasoning(" So."),
          Event.Token.of(1),
          new Event.Text("Let me"),
          new Event.Text(" look."),
          new Event.CallBegins(0, "call_0", "f"),
          new Event.Arguments(0, "{\"x\""),
          Event.Token.of(2),
          new Event.Arguments(0, ":1}"),
          new Event.Call(0, FIRST),
          new Event.CallBegins(1, "call_1", "g"),
          new Event.Arguments(1, "{}"),
          new Event.Call(1, SECOND),
          USAGE,
          new Event.End(FinishReason.END_TOKEN));

  /** The same as a whole. */
  public static final Generation.Result RESULT =
      new Generation.Result(
          new Message(
              Role.ASSISTANT,
              List.of(new Part.Reasoning("Hm. So."), new Part.Text("Let me look."), FIRST, SECOND)),
          List.of(),
          USAGE,
          FinishReason.END_TOKEN);

  /** An answer that something goes wrong with. */
  public static final List<Event> BROKEN =
      List.of(
          new Event.Text("Let me"),
          Usage.NONE,
          new Event.Failure(
              new LogitsException(KnapsackException.Kind.REQUEST, "No token can be chosen.")));

  private Rehearsal() {}
}
