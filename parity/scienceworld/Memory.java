// Measures the heap of worlds after 50 steps each.
//
//     W=$(mktemp -d); J=$STEPLADDER_DATA/scienceworld/1.2.3; C=$PWD/crates/stepladder-scienceworld/bridge/classes
//     javac -cp $J/scienceworld.jar:$C -d $W parity/scienceworld/Memory.java && cp $J/object_type_ids.tsv $W
//     cd $W && java -Xmx768m -XX:+UseSerialGC -XX:+UnlockExperimentalVMOptions -XX:hashCode=2 -cp $W:$C:$J/scienceworld.jar Memory

import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

final class Memory {
    private static final String[] TASKS = {
        "boil", "find-animal", "grow-plant", "test-conductivity", "use-thermometer", "lifespan-longest-lived",
        "mendelian-genetics-unknown-plant", "power-component",
    };
    private static final String[] ACTIONS = {"look around", "wait1", "inventory"};

    public static void main(String[] arguments) throws Exception {
        PrintStream out = System.out;
        System.setOut(new Silence());
        List<World> worlds = new ArrayList<>();
        for (int count : new int[] {1, 20, 40, 80}) {
            while (worlds.size() < count) {
                int number = worlds.size();
                World world = new World();
                world.load(request(TASKS[number % TASKS.length], number / TASKS.length), false);
                for (int step = 0; step < 50; step++) {
                    world.face.step(ACTIONS[step % ACTIONS.length]);
                    world.face.freeActionLook();
                    world.face.freeActionInventory();
                }
                worlds.add(world);
            }
            System.gc();
            System.gc();
            Runtime runtime = Runtime.getRuntime();
            out.printf("%d worlds: %.1f MB%n", count, (runtime.totalMemory() - runtime.freeMemory()) / 1e6);
        }
    }

    private static ByteBuffer request(String task, int variation) {
        ByteBuffer request = ByteBuffer.allocate(12 + task.length());
        request.putInt(task.length()).put(task.getBytes()).putInt(variation).putInt(0).flip();
        return request;
    }
}
