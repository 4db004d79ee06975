package dev.knapsack.serve;

import dev.knapsack.GenerationRequest;
import dev.knapsack.Knapsack;
import dev.knapsack.file.ModelFile;
import dev.knapsack.memory.Budget;
import dev.knapsack.model.ModelSpec;
import dev.knapsack.plan.Plan;
import dev.knapsack.serve.http.Exchange;
import dev.knapsack.serve.http.Receipt;
import dev.knapsack.text.Tokenizer;
import java.time.Instant;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** A model that writes, by the name that requests call it, and what it answers now. */
public final class ServedModel implements Served {
  private final String name;
  private final Knapsack knapsack;
  private final Instant opened = Instant.now();
  private final Set<Answering> active = ConcurrentHashMap.newKeySet();

  public ServedModel(String name, Knapsack knapsack) {
    this.name = name;
    this.knapsack = knapsack;
  }

  @Override
  public String name() {
    return name;
  }

  public Knapsack knapsack() {
    return knapsack;
  }

  @Override
  public Kind kind() {
    return Kind.CHAT;
  }

  @Override
  public Instant opened() {
    return opened;
  }

  @Override
  public Plan plan() {
    return knapsack.plan();
  }

  @Override
  public Budget budget() {
    return knapsack.budget();
  }

  @Override
  public ModelFile file() {
    return knapsack.file();
  }

  @Override
  public ModelSpec spec() {
    return knapsack.spec();
  }

  @Override
  public Tokenizer tokenizer() {
    return knapsack.tokenizer();
  }

  @Override
  public long tokens() {
    return knapsack.engine().load().rows();
  }

  @Override
  public boolean isIdle() {
    return active.isEmpty();
  }

  /**
   * Begins to answer a request a number of times, for the key that the exchange was let in with.
   *
   * @throws dev.knapsack.error.KnapsackException if it is not admitted
   */
  public Answering answer(Exchange exchange, GenerationRequest request, int count) {
    exchange.receipt().model(name);
    Receipt receipt = exchange.receipt();
    GenerationRequest wished =
        request.withTenant(receipt.tenant()).withPriority(receipt.priority());
    OptionalLong share = receipt.share().of(knapsack.engine().cacheBytes());
    if (share.isPresent()) {
      wished = wished.withShare(share.getAsLong());
    }
    Answering answering = new Answering(exchange, knapsack.generate(wished, count), active::remove);
    active.add(answering);
    return answering;
  }

  /** The requests that are being answered, in no order. */
  public List<Answering> active() {
    return List.copyOf(active);
  }
}
