package dev.knapsack.langchain4j;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackages;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.importer.ClassFileImporter;
import dev.knapsack.Knapsack;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The module knows of Knapsack what a program on the module path could, too. */
class DoorTest {
  private static Path home(Class<?> type) throws Exception {
    return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
  }

  @Test
  void onlyWhatTheModuleExportsIsUsed() throws Exception {
    String[] known =
        Stream.concat(
                Stream.of(KnapsackChatModel.class.getPackageName()),
                ModuleFinder.of(home(Knapsack.class))
                    .find("dev.knapsack")
                    .orElseThrow()
                    .descriptor()
                    .exports()
                    .stream()
                    .map(ModuleDescriptor.Exports::source))
            .toArray(String[]::new);
    noClasses()
        .should()
        .dependOnClassesThat(resideInAPackage("dev.knapsack..").and(resideOutsideOfPackages(known)))
        .check(new ClassFileImporter().importPath(home(KnapsackChatModel.class)));
  }
}
