import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.List;

public final class Launcher {
  /** The newest version the library knows announces wire version 8, and the driver wants 9 or more. */
  private static final MongoVersion VERSION = new MongoVersion() {
    @Override
    public List<Integer> getVersionArray() {
      return List.of(5, 0, 0);
    }

    @Override
    public int getWireVersion() {
      return 13;
    }
  };

  public static void main(String[] args) throws IOException {
    MongoServer server = new MongoServer(new MemoryBackend().version(VERSION));
    // One thread: an answer holds the stored documents themselves until its connection's thread writes it,
    // so another connection's thread could change them first.
    server.bind(new InetSocketAddress("127.0.0.1", 0), 1, 1);
    System.out.println("READY " + server.getLocalAddress().getPort());

    // Standard input ends with the process that started this one, however that ended.
    while (System.in.read() >= 0) {
    }
    Runtime.getRuntime().halt(0);
  }
}
