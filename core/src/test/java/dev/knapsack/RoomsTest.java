package dev.knapsack;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import dev.knapsack.error.KnapsackException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Holds the order of the rooms: each knows only those that docs/architecture.md lets it know. */
class RoomsTest {
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("dev.knapsack");

  private static final List<String> ROOMS =
      List.of(
          "error",
          "message",
          "generation",
          "os",
          "memory",
          "tensor",
          "kernel",
          "cache",
          "file",
          "text",
          "model",
          "plan",
          "constraint",
          "planner",
          "host",
          "engine");

  private static final Map<String, List<String>> KNOWS =
      Map.ofEntries(
          Map.entry("error", List.of()),
          Map.entry("message", List.of()),
          Map.entry("os", List.of("error")),
          Map.entry("memory", List.of("error", "os")),
          Map.entry("tensor", List.of("error", "memory")),
          Map.entry("kernel", List.of("error", "os", "memory", "tensor")),
          Map.entry("cache", List.of("error", "os", "memory", "tensor", "kernel")),
          Map.entry("file", List.of("error", "os", "memory", "tensor")),
          Map.entry("text", List.of("error", "message", "generation", "file")),
          Map.entry("model", above("model")),
          Map.entry("plan", above("plan")),
          Map.entry("planner", above("planner")),
          Map.entry("host", above("host")),
          Map.entry("generation", List.of("message")),
          Map.entry(
              "constraint",
              List.of("error", "message", "os", "memory", "file", "text", "generation")),
          Map.entry("engine", above("engine")));

  private static List<String> above(String room) {
    return ROOMS.subList(0, ROOMS.indexOf(room));
  }

  @Test
  void aRoomKnowsOnlyTheRoomsAboveIt() {
    for (String room : ROOMS) {
      for (String other : ROOMS) {
        if (!other.equals(room) && !KNOWS.get(room).contains(other)) {
          noClasses()
              .that(resideInAPackage("dev.knapsack." + room + ".."))
              .should()
              .dependOnClassesThat(resideInAPackage("dev.knapsack." + other + ".."))
              .check(CLASSES);
        }
      }
      noClasses()
          .that(resideInAPackage("dev.knapsack." + room + ".."))
          .should()
          .dependOnClassesThat(resideInAPackage("dev.knapsack"))
          .check(CLASSES);
    }
  }

  @Test
  void whatIsThrownHasOneRoot() {
    classes()
        .that()
        .areAssignableTo(RuntimeException.class)
        .should()
        .beAssignableTo(KnapsackException.class)
        .check(CLASSES);
  }

  @Test
  void onlyItsProviderTouchesTheVectorApi() {
    noClasses()
        .that(resideInAPackage("dev.knapsack.."))
        .and(
            com.tngtech.archunit.base.DescribedPredicate.not(
                resideInAPackage("dev.knapsack.kernel.vector..")))
        .should()
        .dependOnClassesThat(resideInAPackage("jdk.incubator.vector.."))
        .check(CLASSES);
  }

  @Test
  void coreIsAGuest() {
    noClasses()
        .that(resideInAnyPackage("dev.knapsack.."))
        .should()
        .callMethod(System.class, "exit", int.class)
        .orShould()
        .accessField(System.class, "out")
        .orShould()
        .accessField(System.class, "err")
        .check(CLASSES);
  }
}
