package dev.knapsack.memory;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import org.jspecify.annotations.Nullable;

/** A lease that did not fit, and one answer to that, in a recording. */
@Name("dev.knapsack.Pressure")
@Label("Memory Pressure")
@Category("Knapsack")
@Description("A lease did not fit in the budget, and a holder on the ladder was asked for bytes")
@SuppressWarnings("unused") // the recorder reads the fields
final class PressureEvent extends Event {
  @Label("Account")
  @Description("The account that the lease is for")
  private final String account;

  @Label("Rung")
  @Description("The rung of the ladder that was asked; none if all of it could not have helped")
  private final @Nullable String rung;

  @Label("Wanted")
  @Description("Bytes of the lease")
  @DataAmount
  private final long wanted;

  @Label("Given Back")
  @DataAmount
  private long givenBack;

  @Label("Free")
  @Description("Bytes that the account can have afterwards without asking")
  @DataAmount
  private long free;

  @Label("Budget")
  @DataAmount
  private final long budget;

  PressureEvent(Account account, @Nullable Rung rung, long wanted) {
    this.account = account.name();
    this.rung = rung == null ? null : rung.name();
    this.wanted = wanted;
    this.budget = account.budget().total();
    begin();
  }

  void end(long bytes, long freeNow) {
    givenBack = bytes;
    free = freeNow;
    commit();
  }
}
