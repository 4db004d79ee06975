package dev.knapsack;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static java.util.Map.entry;

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

  private static final Map<String, List<String>> KNOWS =
      Map.ofEntries(
          entry("error", List.of()),
          entry("message", List.of()),
          entry("memory", List.of("error")),
          entry("tensor", List.of("error", "memory")),
          entry("kernel", List.of("error", "memory", "tensor")),
          entry("cache", List.of("error", "memory", "tensor", "kernel")),
          entry("file", List.of("error", "memory", "tensor")),
          entry("text", List.of("error", "message", "file")),
          entry("model", List.of("error", "memory", "tensor", "kernel", "cache", "file", "text")),
          entry(
              "plan",
              List.of("error", "memory", "tensor", "kernel", "cache", "file", "text", "model")),
          entry(
              "engine",
              List.of(
                  "error", "memory", "tensor", "kernel", "cache", "file", "text", "model",
                  "plan")));

  @Test
  void aRoomKnowsOnlyTheRoomsAboveIt() {
    for (String room : KNOWS.keySet()) {
      for (String other : KNOWS.keySet()) {
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
