package dev.knapsack.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WorkerTeamTest {
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 8})
  void everyPartIsDoneOnceByAWorkerOfTheTeam(int workers) {
    try (WorkerTeam team = new WorkerTeam(workers)) {
      assertThat(team.workers()).isEqualTo(workers);
      for (int parts : new int[] {0, 1, 2, 7, 1000}) {
        AtomicIntegerArray done = new AtomicIntegerArray(parts);
        team.run(
            parts,
            (part, all, worker) -> {
              assertThat(all).isEqualTo(parts);
              assertThat(worker).isBetween(0, workers - 1);
              done.incrementAndGet(part);
            });
        for (int i = 0; i < parts; i++) {
          assertThat(done.get(i)).isEqualTo(1);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 8})
  void manySmallTasksFollowEachOtherAndSeeEachOthersWrites(int workers) {
    long[] numbers = new long[16];
    try (WorkerTeam team = new WorkerTeam(workers)) {
      for (int round = 0; round < 20_000; round++) {
        int shift = round % numbers.length;
        // Plain reads and writes of what another worker wrote in the task before.
        team.run(numbers.length, (part, all, worker) -> numbers[(part + shift) % all] += part);
      }
    }
    long sum = 0;
    for (long n : numbers) {
      sum += n;
    }
    assertThat(sum).isEqualTo(20_000L * 120);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 8})
  void anExceptionReachesTheCallerAndTheTeamGoesOn(int workers) {
    try (WorkerTeam team = new WorkerTeam(workers)) {
      for (int round = 0; round < 500; round++) {
        int bad = round % 10;
        assertThatThrownBy(() ->
                team.run(
                    10,
                    (part, all, worker) -> {
                      if (part == bad) {
                        throw new IllegalArgumentException("part " + part);
                      }
                    }))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("part " + bad);
        AtomicInteger done = new AtomicInteger();
        team.run(10, (part, all, worker) -> done.incrementAndGet());
        assertThat(done.get()).isEqualTo(10);
      }
    }
  }

  @Test
  void severalCallersTakeTurns() throws InterruptedException {
    try (WorkerTeam team = new WorkerTeam(3)) {
      // Plain counters: tasks that overlapped would lose counts.
      long[] counts = new long[5];
      List<Thread> callers = new ArrayList<>();
      for (int c = 0; c < 4; c++) {
        Runnable caller =
            () -> {
              for (int round = 0; round < 1000; round++) {
                team.run(counts.length, (part, all, worker) -> counts[part]++);
              }
            };
        callers.add(Thread.ofPlatform().start(caller));
      }
      for (Thread caller : callers) {
        caller.join();
      }
      assertThat(counts).containsOnly(4000);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4})
  void teamsOfTheSameThreadsKeepToTheirSizes(int workers) throws InterruptedException {
    try (WorkerTeam first = new WorkerTeam(2)) {
      WorkerTeam second = first.of(workers);
      assertThat(second.workers()).isEqualTo(workers);
      Set<Thread> threads = ConcurrentHashMap.newKeySet();
      // Plain counters: tasks that overlapped would lose counts.
      long[] counts = new long[40];
      List<Thread> callers = new ArrayList<>();
      for (WorkerTeam team : List.of(first, second)) {
        Runnable caller =
            () -> {
              for (int round = 0; round < 2000; round++) {
                team.run(
                    counts.length,
                    (part, all, worker) -> {
                      counts[part]++;
                      if (worker >= team.workers()) {
                        throw new IllegalStateException("worker " + worker);
                      }
                      if (worker > 0) {
                        threads.add(Thread.currentThread());
                      }
                    });
              }
            };
        callers.add(Thread.ofPlatform().start(caller));
      }
      for (Thread caller : callers) {
        caller.join();
      }
      assertThat(counts).containsOnly(4000);
      assertThat(threads).hasSizeLessThan(Math.max(2, workers));
    }
  }

  @Test
  void aTurnIsInterleavedWithNothingAndWhoWaitsComesNext() throws InterruptedException {
    try (WorkerTeam first = new WorkerTeam(2)) {
      WorkerTeam second = first.of(2);
      List<String> order = Collections.synchronizedList(new ArrayList<>());
      Thread other = new Thread(() -> second.turn(() -> order.add("other")));
      first.turn(() -> {
        other.start();
        while (other.getState() != Thread.State.WAITING) {
          Thread.onSpinWait();
        }
        for (int i = 0; i < 3; i++) {
          first.turn(() -> first.run(2, (part, all, worker) -> order.add("task")));
        }
      });
      // Whoever had a turn is behind who waited for one.
      first.run(1, (part, all, worker) -> order.add("again"));
      other.join();
      assertThat(order)
          .containsExactly("task", "task", "task", "task", "task", "task", "other", "again");
    }
  }

  @Test
  void whoWaitsForSomethingElseLetsOthersHaveTheThreads() {
    try (WorkerTeam first = new WorkerTeam(2)) {
      WorkerTeam second = first.of(2);
      List<String> order = Collections.synchronizedList(new ArrayList<>());
      first.turn(() -> {
        first.turn(() -> {
          Thread other =
              Thread.ofPlatform()
                  .start(() -> second.run(1, (part, all, worker) -> order.add("other")));
          first.rest(() -> {
            try {
              other.join();
            } catch (InterruptedException e) {
              throw new AssertionError(e);
            }
            order.add("rested");
          });
          order.add("turn");
        });
        assertThatThrownBy(
                () -> first.run(1, (part, all, worker) -> first.rest(() -> order.add("in a task"))))
            .hasMessageContaining("cannot");
      });
      first.rest(() -> order.add("no turn"));
      assertThat(order).containsExactly("other", "rested", "turn", "no turn");
    }
  }

  @Test
  void partsKnowWhichWorkerTheyRunOn() {
    try (WorkerTeam team = new WorkerTeam(3);
        WorkerTeam other = new WorkerTeam(2)) {
      boolean[] same = new boolean[200];
      boolean[] first = new boolean[same.length];
      team.run(
          same.length,
          (part, parts, worker) -> {
            same[part] = team.worker() == worker;
            first[part] = other.worker() == 0;
          });
      assertThat(same).containsOnly(true);
      assertThat(first).containsOnly(true);
      assertThat(team.worker()).isZero();
    }
  }

  @Test
  void aPartCannotStartATask() {
    try (WorkerTeam team = new WorkerTeam(2)) {
      for (int round = 0; round < 100; round++) {
        assertThatThrownBy(() -> team.run(4, (part, all, worker) -> team.run(1, (p, a, w) -> {})))
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("cannot start a task");
      }
    }
  }

  @Test
  void anInterruptedCallerStillWaitsAndStaysInterrupted() {
    try (WorkerTeam team = new WorkerTeam(4)) {
      Thread.currentThread().interrupt();
      AtomicInteger done = new AtomicInteger();
      for (int round = 0; round < 1000; round++) {
        team.run(8, (part, all, worker) -> done.incrementAndGet());
      }
      assertThat(Thread.interrupted()).isTrue();
      assertThat(done.get()).isEqualTo(8000);
    }
  }

  @Test
  void closingEndsTheThreads() {
    List<Thread> threads = new ArrayList<>();
    WorkerTeam team = new WorkerTeam(3);
    for (int round = 0; round < 100; round++) {
      team.run(
          50,
          (part, all, worker) -> {
            synchronized (threads) {
              if (worker != 0 && !threads.contains(Thread.currentThread())) {
                threads.add(Thread.currentThread());
              }
            }
          });
    }
    team.close();
    assertThat(threads).allMatch(t -> t.getName().startsWith("knapsack-worker-"));
    assertThat(threads).noneMatch(Thread::isAlive);
    assertThatThrownBy(() -> team.run(1, (part, all, worker) -> {}))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("closed");
    assertThatThrownBy(() -> team.of(2)).hasMessageContaining("closed");
    team.close();
  }

  @Test
  void aTeamOfNobodyIsRefused() {
    assertThatThrownBy(() -> new WorkerTeam(0)).isInstanceOf(IllegalArgumentException.class);
  }
}
