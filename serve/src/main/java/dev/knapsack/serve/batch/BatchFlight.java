package dev.knapsack.serve.batch;

import com.google.gson.JsonObject;
import dev.knapsack.Generation;
import dev.knapsack.GenerationRequest;
import dev.knapsack.generation.Event;
import dev.knapsack.generation.FinishReason;
import dev.knapsack.generation.Usage;
import dev.knapsack.serve.ServedModel;
import dev.knapsack.serve.http.Refusal;
import dev.knapsack.serve.openai.Question;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * The requests of a batch to one model, so many in flight at once.
 *
 * <p>Of prompts that begin with the same pages only one is read at a time: the others find them
 * cached once it has been. Meanwhile those go ahead that share nothing with what is being read.
 */
final class BatchFlight {
  /** Prompts at the head of the order that are looked through for one that need not wait. */
  private static final int WINDOW = 256;

  /** Prompts whose pages are taken to be cached still. */
  private static final int REMEMBERED = 64;

  /** Takes what has become of a line. */
  @FunctionalInterface
  interface Ending<T> {
    void accept(int line, T end) throws IOException;
  }

  private final ServedModel model;
  private final Deque<BatchPrompt> waiting;
  private final BooleanSupplier ended;
  private final int most;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();

  // Guarded by the lock.

  private final List<BatchPrompt> unread = new ArrayList<>();
  private final Deque<BatchPrompt> read = new ArrayDeque<>();
  private final List<Generation> answers = new ArrayList<>();
  private int flying;
  private boolean full;
  private @Nullable Throwable problem;

  /**
   * @param most requests in flight
   */
  BatchFlight(ServedModel model, List<BatchPrompt> order, int most, BooleanSupplier ended) {
    this.model = model;
    this.waiting = new ArrayDeque<>(order);
    this.most = most;
    this.ended = ended;
  }

  /**
   * Answers all, until told to end.
   *
   * @throws IOException if what became of a line could not be written
   * @throws InterruptedException if it is interrupted; nothing is in flight any more then
   */
  void run(IntFunction<Question> questions, Ending<JsonObject> replies, Ending<Refusal> refusals)
      throws IOException, InterruptedException {
    try {
      for (BatchPrompt next = next(); next != null; next = next()) {
        BatchPrompt prompt = next;
        Thread.ofVirtual().start(() -> fly(prompt, questions, replies, refusals));
      }
    } finally {
      land();
    }
    switch (problem) {
      case null -> {}
      case IOException e -> throw e;
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      case Throwable e -> throw new IllegalStateException(e);
    }
  }

  /**
   * The next prompt to read, taken out of those that wait; null if there is none or all must end.
   */
  private @Nullable BatchPrompt next() throws InterruptedException {
    lock.lock();
    try {
      while (problem == null && !ended.getAsBoolean() && !(waiting.isEmpty() && flying == 0)) {
        BatchPrompt next = flying < most && !full ? takeStartable() : null;
        if (next != null) {
          flying++;
          unread.add(next);
          return next;
        }
        // Others' requests may fill the queue, and whoever says that this is to end wakes nobody.
        if (!changed.await(1, TimeUnit.SECONDS)) {
          full = false;
        }
      }
      return null;
    } finally {
      lock.unlock();
    }
  }

  private @Nullable BatchPrompt takeStartable() {
    int looked = 0;
    for (Iterator<BatchPrompt> i = waiting.iterator(); i.hasNext() && looked < WINDOW; looked++) {
      BatchPrompt prompt = i.next();
      int coming = shared(prompt, unread);
      if (coming == 0 || coming <= shared(prompt, read)) {
        i.remove();
        return prompt;
      }
    }
    return null;
  }

  private static int shared(BatchPrompt prompt, Iterable<BatchPrompt> others) {
    int most = 0;
    for (BatchPrompt other : others) {
      most = Math.max(most, prompt.shared(other));
    }
    return most;
  }

  private void fly(
      BatchPrompt prompt,
      IntFunction<Question> questions,
      Ending<JsonObject> replies,
      Ending<Refusal> refusals) {
    boolean again = false;
    Throwable failed = null;
    try {
      try {
        Question question = questions.apply(prompt.line());
        JsonObject reply = question.reply().apply(answers(prompt, question));
        replies.accept(prompt.line(), reply);
      } catch (UncheckedIOException e) {
        throw e;
      } catch (Ended e) {
        // It is answered when the batch is run again.
      } catch (RuntimeException e) {
        Refusal refusal = Refusal.of(e, 1);
        again = refusal.kind() == Refusal.Kind.BUSY;
        if (!again) {
          refusals.accept(prompt.line(), refusal);
        }
      }
    } catch (IOException | RuntimeException | Error e) {
      failed = e;
    }
    lock.lock();
    try {
      flying--;
      full = again;
      if (again) {
        unread.remove(prompt);
        waiting.addFirst(prompt);
      } else {
        markRead(prompt);
      }
      if (failed != null && problem == null) {
        problem = failed;
      }
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Thrown where an answer ended because the batch did. */
  private static final class Ended extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  private List<List<Generation.Result>> answers(BatchPrompt prompt, Question question) {
    List<List<Generation.Result>> all = new ArrayList<>();
    for (GenerationRequest request : question.prompts()) {
      List<Generation> several = begin(request, question.samples());
      try {
        List<CompletionStage<Generation.Result>> others =
            several.stream().skip(1).map(Generation::result).toList();
        List<Generation.Result> results = new ArrayList<>();
        results.add(read(several.getFirst(), prompt));
        for (CompletionStage<Generation.Result> other : others) {
          results.add(whole(other.toCompletableFuture().join()));
        }
        all.add(results);
      } catch (CompletionException e) {
        throw e.getCause() instanceof RuntimeException cause ? cause : e;
      } finally {
        several.forEach(Generation::close);
        lock.lock();
        try {
          answers.removeAll(several);
        } finally {
          lock.unlock();
        }
      }
    }
    return all;
  }

  private List<Generation> begin(GenerationRequest request, int samples) {
    List<Generation> several = model.knapsack().generate(request, samples);
    lock.lock();
    try {
      answers.addAll(several);
      changed.signalAll(); // should all be ending
    } finally {
      lock.unlock();
    }
    return several;
  }

  /** Reads an answer to its end, and says so once it begins: its prompt has been read then. */
  private Generation.Result read(Generation answer, BatchPrompt prompt) {
    List<Event.Token> tokens = new ArrayList<>();
    Usage usage = Usage.NONE;
    FinishReason reason = FinishReason.CANCELLED;
    for (Iterator<Event> events = answer.events().iterator(); events.hasNext(); ) {
      switch (events.next()) {
        case Event.Token token -> {
          if (tokens.isEmpty()) {
            markRead(prompt);
          }
          tokens.add(token);
        }
        case Usage all -> usage = all;
        case Event.End end -> reason = end.reason();
        case Event.Failure failure -> throw failure.thrown();
        case Event.Text _, Event.Reasoning _ -> {}
        case Event.CallBegins _, Event.Arguments _, Event.Call _ -> {}
      }
    }
    return whole(new Generation.Result(answer.messageSoFar(), tokens, usage, reason));
  }

  private static Generation.Result whole(Generation.Result result) {
    if (result.reason() == FinishReason.CANCELLED) {
      throw new Ended();
    }
    return result;
  }

  private void markRead(BatchPrompt prompt) {
    lock.lock();
    try {
      if (unread.remove(prompt)) {
        read.addLast(prompt);
        if (read.size() > REMEMBERED) {
          read.removeFirst();
        }
        changed.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Ends what is in flight, if anything is. */
  private void land() {
    lock.lock();
    try {
      while (flying > 0) {
        answers.forEach(Generation::cancel);
        changed.awaitUninterruptibly();
      }
    } finally {
      lock.unlock();
    }
  }
}
