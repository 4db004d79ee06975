package dev.knapsack.engine;

import dev.knapsack.plan.Plan;
import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;

/** A model that was opened by its plan, in a recording: its duration is that of loading. */
@Name("dev.knapsack.Plan")
@Label("Plan")
@Category("Knapsack")
@Description("A model was opened: which bytes it was given, and for how many tokens")
@SuppressWarnings("unused") // the recorder reads the fields
final class PlanEvent extends Event {
  @Label("Model")
  private final String model;

  @Label("Room")
  @Description("Bytes that the plan could have")
  @DataAmount
  private final long room;

  @Label("Planned")
  @Description("Bytes that the plan takes at the most, the JVM's share included")
  @DataAmount
  private final long planned;

  @Label("JVM")
  @DataAmount
  private final long jvm;

  @Label("Weights")
  @DataAmount
  private final long weights;

  @Label("Cache")
  @DataAmount
  private final long cache;

  @Label("Activations")
  @DataAmount
  private final long activations;

  @Label("Context")
  @Description("Tokens of a sequence, or of an encoder's text")
  private final int context;

  @Label("Sequences")
  private final int sequences;

  @Label("Step")
  @Description("Tokens of a prompt in a step at the most")
  private final int step;

  PlanEvent(Plan plan) {
    model = plan.model();
    room = plan.budget();
    planned = plan.bytes();
    jvm = plan.bytes("jvm");
    weights = plan.bytes("weights");
    cache = plan.bytes("kv");
    activations = plan.bytes("activations");
    context = plan.context();
    sequences = plan.sequences();
    step = plan.prefillChunk();
    begin();
  }
}
