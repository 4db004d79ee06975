package dev.knapsack.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

class PageTest {
  private static final String CLICK = "document.getElementById('%s').click()";

  @Test
  void theServerHasAPageThatAsksNobodyElse() {
    try (TestServer server = TestServer.usual()) {
      TestServer.Answer page = server.get("/");
      assertThat(page.response().headers().firstValue("Content-Type"))
          .hasValue("text/html; charset=utf-8");
      assertThat(page.response().headers().firstValue("Content-Security-Policy").orElseThrow())
          .contains("connect-src 'self'");
      assertThat(page.body()).doesNotContain("http://").doesNotContain("https://");
    }
  }

  /**
   * In a browser: a chat that streams, is stopped and edited; the budget, live; a phone; the dark.
   */
  @Test
  void peopleChatAndSeeTheBudget() throws Exception {
    Optional<Path> program = Browser.installed();
    assumeTrue(program.isPresent(), "this machine has no Chromium");
    try (TestServer server = TestServer.usual();
        Browser browser = Browser.start(program.get())) {
      browser.size(1280, 900, false);
      browser.dark(false);
      browser.open(server.uri("/"));
      browser.await("document.getElementById('model').value === 'notes'");
      browser.value("document.getElementById('temperature').value = 0");
      say(browser, TestServer.QUESTION);
      browser.await(
          "document.querySelectorAll('.turn.assistant').length === 1 &&"
              + " document.querySelector('.turn.assistant small').textContent.includes('written')");
      assertThat(text(browser, ".turn.assistant .content"))
          .isEqualTo("The blue ring is in the library.");
      // Editing a turn takes what came after it away.
      browser.value("document.querySelector('.turn.user button').click()");
      assertThat(browser.value("document.getElementById('say').value").getAsString())
          .isEqualTo(TestServer.QUESTION);
      assertThat(browser.value("document.querySelectorAll('.turn').length").getAsInt()).isZero();
      say(browser, "Dan put the red key in the kitchen. Where is the red key?");
      browser.await(
          "document.querySelector('.turn.assistant small').textContent.includes('written')");
      assertThat(text(browser, ".turn.assistant .content")).contains("kitchen");
      // The budget.
      browser.await(
          "document.querySelectorAll('#map div').length >= 2 && document.querySelectorAll('#time"
              + " polyline').length === 2");
      assertThat(text(browser, "#accounts")).contains("weights").contains("resident set");
      assertThat(text(browser, "#total")).contains("1.00 GiB used");
      save("page.png", browser.picture());
      // A phone, in the dark.
      browser.dark(true);
      browser.size(390, 844, true);
      assertThat(browser.value("document.documentElement.scrollWidth <= 390").getAsBoolean())
          .isTrue();
      assertThat(browser.value("getComputedStyle(document.body).backgroundColor").getAsString())
          .isEqualTo("rgb(22, 24, 28)");
      save("page-phone.png", browser.picture());
      // An answer that is stopped: the server ends it.
      browser.value(CLICK.formatted("fresh"));
      browser.value("document.getElementById('max_tokens').value = 1900");
      browser.value("document.getElementById('temperature').value = 5");
      say(browser, "Tell me all that you know");
      browser.value(CLICK.formatted("stop"));
      browser.await("document.getElementById('send').disabled === false");
      browser.await("fetch('/slots').then(r => r.json()).then(s => s.length === 0)");
      // What others are answered has its place in the picture, and so has what prompts begin with.
      AtomicBoolean seen = new AtomicBoolean();
      String endless = "{\"prompt\": \"%s\", \"max_tokens\": 1500, \"ignore_eos\": true}";
      Thread other =
          Thread.ofVirtual()
              .start(() -> {
                while (!seen.get()) {
                  server.post("/v1/completions", endless.formatted("The key is here. ".repeat(40)));
                }
              });
      for (String part : List.of("kv/answer", "kv/prefixes")) {
        browser.await(
            "[...document.querySelectorAll('#map div')].some(d => d.title.startsWith('%s'))"
                .formatted(part));
      }
      seen.set(true);
      other.join();
      assertThat(browser.complaints).isEmpty();
    }
  }

  private static void say(Browser browser, String text) throws Exception {
    browser.value("document.getElementById('say').value = '%s'".formatted(text));
    browser.value(CLICK.formatted("send"));
  }

  private static String text(Browser browser, String selector) throws Exception {
    return browser
        .value("document.querySelector('%s').textContent".formatted(selector))
        .getAsString()
        .strip();
  }

  private static void save(String name, byte[] picture) throws Exception {
    Files.write(Files.createDirectories(Path.of("target")).resolve(name), picture);
    assertThat(picture).hasSizeGreaterThan(10_000);
  }
}
