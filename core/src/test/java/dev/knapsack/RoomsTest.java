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
          "error", "memory", "tensor", "kernel", "cache", "file", "text", "model", "plan",
          "engine");

  private static final Map<String, List<String>> KNOWS =
      Map.of(
          "error", List.of(),
          "memory", List.of("error"),
          "tensor", List.of("error", "memory"),
          "kernel", List.of("error", "memory", "tensor"),
          "cache", List.of("error", "memory", "tensor", "kernel"),
          "file", List.of("error", "memory", "tensor"),
          "text", List.of("error", "file"),
          "model", List.of("error", "memory", "tensor", "kernel", "cache", "file", "text"),
          "plan", List.of("error", "memory", "tensor", "kernel", "cache", "file", "text", "model"),
          "engine",
              List.of(
                  "error", "memory", "tensor", "kernel", "cache", "file", "text", "model", "plan"));

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
