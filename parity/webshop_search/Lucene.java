// The original search engine, one line of JSON in, one line out. Compiled and run by compare.py.

import com.fasterxml.jackson.databind.ObjectMapper;
import io.anserini.analysis.AnalyzerUtils;
import io.anserini.analysis.DefaultEnglishAnalyzer;
import io.anserini.index.IndexCollection;
import io.anserini.search.SimpleSearcher;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import org.apache.lucene.analysis.standard.StandardTokenizerImpl;

public class Lucene {
  static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

  public static void main(String[] arguments) throws Exception {
    switch (arguments[0]) {
      case "classes" -> classes();
      case "index" -> index(arguments[1], arguments[2]);
      case "terms" -> lines(Lucene::terms);
      case "search" -> {
        SimpleSearcher searcher = new SimpleSearcher(arguments[1]);
        lines(query -> search(searcher, query, Integer.parseInt(arguments[2])));
      }
      default -> throw new IllegalArgumentException(arguments[0]);
    }
    OUT.flush();
  }

  interface Answer {
    String to(String text) throws Exception;
  }

  static void lines(Answer answer) throws Exception {
    ObjectMapper json = new ObjectMapper();
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = input.readLine()) != null; ) {
      OUT.println(answer.to(json.readValue(line, String.class)));
    }
  }

  // Terms, separated by tabs.
  static String terms(String text) {
    return String.join("\t", AnalyzerUtils.analyze(DefaultEnglishAnalyzer.newDefaultInstance(), text));
  }

  // Identifiers, best first.
  static String search(SimpleSearcher searcher, String query, int limit) throws Exception {
    StringBuilder found = new StringBuilder();
    for (SimpleSearcher.Result result : searcher.search(query, limit)) {
      found.append(found.length() > 0 ? " " : "").append(result.docid);
    }
    return found.toString();
  }

  // As search_engine/run_indexing.sh of WebShop.
  static void index(String collection, String index) throws Exception {
    IndexCollection.main(new String[] {
      "-collection", "JsonCollection", "-input", collection, "-index", index, "-generator", "DefaultLuceneDocumentGenerator",
      "-threads", "1", "-storePositions", "-storeDocvectors", "-storeRaw"
    });
  }

  // First and last character of every range of one class, and the class: what the tokenizer tells apart.
  static void classes() throws Exception {
    int[] top = numbers("ZZ_CMAP_TOP");
    int[] blocks = numbers("ZZ_CMAP_BLOCKS");
    int start = 0;
    for (int character = 1; character <= 0x110000; character++) {
      if (character == 0x110000 || of(top, blocks, character) != of(top, blocks, start)) {
        OUT.printf("%x %x %d%n", start, character - 1, of(top, blocks, start));
        start = character;
      }
    }
  }

  static int of(int[] top, int[] blocks, int character) {
    return blocks[character < 0x100 ? character : top[character >> 8] | character & 0xff];
  }

  static int[] numbers(String name) throws Exception {
    Field field = StandardTokenizerImpl.class.getDeclaredField(name);
    field.setAccessible(true);
    return (int[]) field.get(null);
  }
}
