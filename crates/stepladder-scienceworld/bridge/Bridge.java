// The child side of stepladder-scienceworld: many simulated worlds in one JVM, driven over standard input and output.
//
// A frame is its length (4 bytes, big endian) and its bytes. A request is the call number, an operation and its
// arguments; the reply is the same number, then 0 and the results, or 1 and the message of the simulator's exception.
// A string is its length in bytes and UTF-8; a list of strings is their number, their lengths, and all their bytes.
// Calls are processed one after the other.
//
// Compiled by `compile.sh` into `classes`.

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.Constructor;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.LinkedBlockingQueue;

import main.scala.scienceworld.runtime.SimplifierProcessor$;
import scala.util.Random$;
import scienceworld.runtime.pythonapi.PythonInterface;
import util.UniqueIdentifier$;

/** Reads requests and writes replies. */
final class Bridge implements Runnable {
    private static final int LARGEST = 1 << 24;

    private final LinkedBlockingQueue<byte[]> requests = new LinkedBlockingQueue<>();
    private final Map<Integer, World> worlds = new HashMap<>();
    private final ArrayDeque<World> vacant = new ArrayDeque<>();
    private final FileOutputStream out = new FileOutputStream(FileDescriptor.out);
    private ByteBuffer reply = ByteBuffer.allocate(1 << 18);

    /** The arguments are private files of this process, which it deletes when its parent process is gone. */
    public static void main(String[] files) throws Exception {
        Bridge bridge = new Bridge();
        System.setOut(new Silence());
        // A large stack: the simulator recurses over nested containers.
        Thread simulator = new Thread(null, bridge, "simulator", 64L << 20);
        simulator.setDaemon(true);
        simulator.start();
        try (DataInputStream in = new DataInputStream(new FileInputStream(FileDescriptor.in))) {
            while (true) {
                int length = in.readInt();
                if (length < 5 || length > LARGEST) {
                    break;
                }
                byte[] request = new byte[length];
                in.readFully(request);
                bridge.requests.put(request);
            }
        } catch (IOException closed) {
            // The parent process is gone.
        }
        for (String file : files) {
            new File(file).delete();
        }
        // Immediately, even during a call.
        Runtime.getRuntime().halt(0);
    }

    @Override
    public void run() {
        try {
            while (true) {
                ByteBuffer request = ByteBuffer.wrap(requests.take());
                int number = request.getInt();
                begin(number, 0);
                try {
                    answer(request);
                } catch (Exception | LinkageError | StackOverflowError error) {
                    begin(number, 1);
                    write(describe(error));
                }
                reply.putInt(0, reply.position() - 4);
                out.write(reply.array(), 0, reply.position());
            }
        } catch (Throwable error) {
            System.err.println("bridge: " + error);
            Runtime.getRuntime().halt(3);
        }
    }

    private void begin(int number, int outcome) {
        reply.position(0);
        reply.putInt(0).putInt(number).put((byte) outcome);
    }

    private void answer(ByteBuffer request) throws Exception {
        switch (request.get()) {
            case 0: // hello: Java version and heap limit
                write(System.getProperty("java.specification.version"));
                room(8).putLong(Runtime.getRuntime().maxMemory());
                return;
            case 1: { // start an episode
                int instance = request.getInt();
                World world = worlds.get(instance);
                if (world == null) {
                    world = vacant();
                    worlds.put(instance, world);
                }
                world.load(request, false);
                write(world.face.getTaskDescription());
                return;
            }
            case 2: { // play an action; return the view afterwards
                PythonInterface face = enter(request).face;
                write(face.step(read(request)));
                write(face.freeActionLook());
                write(face.freeActionInventory());
                room(13).putDouble(face.getScore());
                reply.put((byte) (face.getCompleted() ? 1 : 0));
                reply.putInt(face.getNumMoves());
                return;
            }
            case 3: // admissible actions; 0: as the package lists them, 1: without side effect
                write(enter(request).actions(request.get() != 0));
                return;
            case 4: // which goals are reached, as the simulator prints them
                write(enter(request).face.getGoalProgressStr());
                return;
            case 5: // free these worlds
                while (request.hasRemaining()) {
                    World world = worlds.remove(request.getInt());
                    if (world != null) {
                        vacant.push(world);
                    }
                }
                return;
            case 6: { // a gold path
                World world = vacant();
                vacant.push(world);
                world.load(request, true);
                write(world.face.getGoldActionSequence());
                return;
            }
            case 7: // the tasks
                write(new World().face.getTaskNames());
                return;
            case 8: { // number of variations of a task, and its train, dev and test sets
                PythonInterface face = new World().face;
                face.taskStr_$eq(read(request));
                room(4).putInt(face.getTaskMaxVariations(face.taskStr()));
                write(face.getVariationsTrain());
                write(face.getVariationsDev());
                write(face.getVariationsTest());
                return;
            }
            default:
                throw new IllegalArgumentException("no such operation");
        }
    }

    /** World for calls that need none in particular. Creating it costs as much as loading a task. */
    private World vacant() {
        return vacant.isEmpty() ? new World() : vacant.pop();
    }

    private World enter(ByteBuffer request) {
        World world = worlds.get(request.getInt());
        if (world == null) {
            throw new IllegalStateException("nothing is loaded");
        }
        world.enter();
        return world;
    }

    static String read(ByteBuffer request) {
        byte[] bytes = new byte[request.getInt()];
        request.get(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private void write(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        room(4 + bytes.length).putInt(bytes.length).put(bytes);
    }

    private void write(List<?> list) {
        int count = list.size();
        room(4 + 4 * count).putInt(count);
        StringBuilder all = new StringBuilder(36 * count);
        int lengths = reply.position();
        for (Object item : list) {
            String text = item.toString();
            reply.putInt(text.length());
            all.append(text);
        }
        byte[] bytes = all.toString().getBytes(StandardCharsets.UTF_8);
        if (bytes.length != all.length()) {
            // Not ASCII: bytes and characters differ in number.
            reply.position(lengths);
            for (Object item : list) {
                reply.putInt(item.toString().getBytes(StandardCharsets.UTF_8).length);
            }
        }
        room(bytes.length).put(bytes);
    }

    /** Returns the reply buffer with capacity for this number of further bytes. */
    private ByteBuffer room(int bytes) {
        if (reply.remaining() < bytes) {
            byte[] larger = Arrays.copyOf(reply.array(), 2 * (reply.position() + bytes));
            int end = reply.position();
            reply = ByteBuffer.wrap(larger);
            reply.position(end);
        }
        return reply;
    }

    private static String describe(Throwable error) {
        StringBuilder text = new StringBuilder(error.toString());
        StackTraceElement[] trace = error.getStackTrace();
        for (int at = 0; at < Math.min(3, trace.length); at++) {
            text.append(" at ").append(trace[at]);
        }
        return text.toString();
    }
}

/**
 * One simulated world with its own copy of the global objects that the simulator changes: the counter of objects, the
 * random numbers, the active simplifications.
 */
final class World {
    private static final Random$ ASIDE = create(Random$.class);

    final PythonInterface face;
    private final UniqueIdentifier$ identifiers = create(UniqueIdentifier$.class);
    private final Random$ random = create(Random$.class);
    private final SimplifierProcessor$ simplifier = create(SimplifierProcessor$.class);

    World() {
        enter();
        face = new PythonInterface();
    }

    /** Installs this world's copies as the simulator's global objects. */
    void enter() {
        UniqueIdentifier$.MODULE$ = identifiers;
        Random$.MODULE$ = random;
        SimplifierProcessor$.MODULE$ = simplifier;
    }

    /** Starts an episode. The state that it leaves in `face` regenerates no gold paths, since `reset` is not called. */
    void load(ByteBuffer request, boolean gold) {
        enter();
        String error = face.load(Bridge.read(request), request.getInt(), Bridge.read(request), gold);
        if (!error.isEmpty()) {
            throw new IllegalArgumentException(error);
        }
        // Rebuilt by every load and unused in between, but nine tenths of a world's memory.
        face.taskMaker_$eq(null);
        face.score_$eq(0);
        face.isComplete_$eq(false);
    }

    /**
     * Lists the admissible actions. The simulator draws one of several names of a thing from the random numbers that also
     * move animals; with `apart` it draws from a separate sequence that depends on the number of moves only.
     */
    List<String> actions(boolean apart) {
        if (apart) {
            ASIDE.setSeed(face.getNumMoves());
            Random$.MODULE$ = ASIDE;
        }
        try {
            return face.getValidActionObjectCombinations();
        } finally {
            Random$.MODULE$ = random;
        }
    }

    private static <T> T create(Class<T> module) {
        try {
            Constructor<T> constructor = module.getDeclaredConstructor();
            constructor.setAccessible(true);
            return constructor.newInstance();
        } catch (ReflectiveOperationException error) {
            throw new LinkageError("not the simulator that this was written for", error);
        }
    }
}

/** Discards the simulator's output. */
final class Silence extends PrintStream {
    Silence() {
        super(new ByteArrayOutputStream(0));
    }

    @Override
    public void print(Object object) {}

    @Override
    public void println(Object object) {}

    @Override
    public void print(String text) {}

    @Override
    public void println(String text) {}

    @Override
    public void println() {}

    @Override
    public void write(int one) {}

    @Override
    public void write(byte[] bytes, int from, int length) {}
}
