package dev.knapsack.langchain4j;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackages;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import dev.knapsack.Knapsack;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The module knows of Knapsack what a program on the module path could, too. */
class DoorTest {
  @Test
  void onlyWhatTheModuleExportsIsUsed() throws Exception {
    Path home = Path.of(Knapsack.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    String[] known =
        Stream.concat(
                Stream.of(KnapsackChatModel.class.getPackageName()),
                ModuleFinder.of(home)
                    .find("dev.knapsack")
                    .orElseThrow()
                    .descriptor()
                    .exports()
                    .stream()
                    .map(ModuleDescriptor.Exports::source))
            .toArray(String[]::new);
    noClasses()
        .that(resideInAPackage(KnapsackChatModel.class.getPackageName()))
        .should()
        .dependOnClassesThat(resideInAPackage("dev.knapsack..").and(resideOutsideOfPackages(known)))
        .check(
            new ClassFileImporter()
                .withImportOption(new ImportOption.DoNotIncludeTests())
                .importPackages(KnapsackChatModel.class.getPackageName()));
  }
}
