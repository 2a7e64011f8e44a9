import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import java.nio.charset.StandardCharsets;
import java.util.UUID;

/** A job in Java: one JSON message per step into the exchange, each confirmed by RabbitMQ. */
public class Report {
    static final int PAGES = 20;

    public static void main(String[] args) throws Exception {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri(System.getenv("PROGRESS_WS_AMQP_URL"));
        try (Connection connection = factory.newConnection("report");
                Channel channel = connection.createChannel()) {
            channel.confirmSelect();
            Report report = new Report(channel, args[0]);
            for (int page = 0; page < PAGES; page++) {
                report.say("running", page, false);
                Thread.sleep(50); // the work
            }
            report.say("done", PAGES, true);
        }
    }

    private final Channel channel;
    private final String sid;
    /** Which try it is: a later one is greater. */
    private final String run = "%013d-%s".formatted(System.currentTimeMillis(), UUID.randomUUID());

    Report(Channel channel, String sid) {
        this.channel = channel;
        this.sid = sid;
    }

    void say(String state, int page, boolean last) throws Exception {
        String json = """
            {"sid": "%s", "key": "report", "run": "%s", "final": %b, "stall_s": 15,
             "message": {"kind": "progress", "state": "%s", "current": %d, "total": %d, "title": "Report"}}
            """.formatted(sid, run, last, state, page, PAGES);
        BasicProperties properties = new BasicProperties.Builder()
            .contentType("application/json")
            .messageId(UUID.randomUUID().toString()) // sent again, it is recognised by this
            .build();
        channel.basicPublish("progress-ws", sid, properties, json.getBytes(StandardCharsets.UTF_8));
        channel.waitForConfirmsOrDie(5_000);
    }
}
