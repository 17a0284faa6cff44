// Plays the benchmark's course by calling the simulator directly, in the same process: the baseline of the bridge.
// Started and commanded by compare.py, like crates/stepladder-scienceworld/examples/speed.rs.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;

import scienceworld.runtime.pythonapi.PythonInterface;

final class Direct {
    private static final String[] COURSE = {
        "boil", "chemistry-mix", "find-animal", "grow-plant", "lifespan-longest-lived", "power-component",
        "test-conductivity", "use-thermometer",
    };

    private static long checksum;

    private static void add(long word) {
        checksum = (Long.rotateLeft(checksum, 5) ^ word) * 0x9e3779b97f4a7c15L;
    }

    private static int length(String text) {
        return text.getBytes(java.nio.charset.StandardCharsets.UTF_8).length;
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream out = System.out;
        System.setOut(new PrintStream(OutputStream.nullOutputStream()));
        List<List<String>> gold = new ArrayList<>();
        for (String task : COURSE) {
            PythonInterface face = new PythonInterface();
            face.load(task, 0, "", true);
            gold.add(new ArrayList<>(face.getGoldActionSequence()));
        }
        PythonInterface face = new PythonInterface();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        String line;
        while ((line = in.readLine()) != null) {
            boolean valid = line.equals("on");
            checksum = 0;
            long steps = 0, stepping = 0, resetting = 0;
            for (int at = 0; at < COURSE.length; at++) {
                long started = System.nanoTime();
                face.load(COURSE[at], 0, "", false);
                long before = checksum;
                see(face, "look around");
                checksum = before;
                resetting += System.nanoTime() - started;
                started = System.nanoTime();
                for (String action : gold.get(at)) {
                    see(face, action);
                    steps++;
                    if (valid) {
                        add(face.getValidActionObjectCombinations().size());
                    }
                    if (face.getCompleted()) {
                        break;
                    }
                }
                stepping += System.nanoTime() - started;
            }
            out.printf(
                "{\"steps\": %d, \"step_seconds\": %.9f, \"resets\": %d, \"reset_seconds\": %.9f, \"checksum\": \"%016x\"}%n",
                steps, stepping / 1e9, COURSE.length, resetting / 1e9, checksum);
            out.flush();
        }
    }

    /** Plays an action and fetches everything that the bridge fetches. */
    private static void see(PythonInterface face, String action) {
        String observation = face.step(action);
        String look = face.freeActionLook();
        String inventory = face.freeActionInventory();
        double score = face.getScore();
        boolean completed = face.getCompleted();
        int moves = face.getNumMoves();
        add(length(observation));
        add(length(look));
        add(length(inventory));
        add(Double.doubleToRawLongBits(score));
        if (completed && moves < 0) {
            throw new IllegalStateException();
        }
    }
}
