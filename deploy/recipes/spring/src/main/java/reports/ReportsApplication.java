package reports;

import java.security.SecureRandom;
import java.util.Base64;
import java.util.Map;
import java.util.UUID;
import org.springframework.amqp.rabbit.core.RabbitTemplate;
import org.springframework.amqp.support.converter.JacksonJsonMessageConverter;
import org.springframework.amqp.support.converter.MessageConverter;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.core.task.TaskExecutor;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;

/** Spring Boot: the job is a task of the web process and reports by RabbitTemplate. */
@SpringBootApplication
public class ReportsApplication {
    public static void main(String[] args) {
        SpringApplication.run(ReportsApplication.class, args);
    }

    @Bean
    MessageConverter json() {
        var converter = new JacksonJsonMessageConverter(); // with Boot 3: Jackson2JsonMessageConverter
        converter.setCreateMessageIds(true); // a message that is sent again is recognised by its id
        return converter;
    }
}

@RestController
class Reports {
    static final int PAGES = 40;

    private final RabbitTemplate rabbit;
    private final TaskExecutor executor;
    private final SecureRandom random = new SecureRandom();

    Reports(RabbitTemplate rabbit, TaskExecutor executor) {
        this.rabbit = rabbit;
        this.executor = executor;
    }

    @PostMapping("/reports")
    @ResponseStatus(HttpStatus.ACCEPTED)
    Map<String, String> start() {
        byte[] bytes = new byte[24];
        random.nextBytes(bytes);
        String sid = Base64.getUrlEncoder().encodeToString(bytes); // the right to watch
        executor.execute(() -> make(sid));
        return Map.of("sid", sid);
    }

    void make(String sid) {
        // Which try it is: a later one is greater.
        String run = "%013d-%s".formatted(System.currentTimeMillis(), UUID.randomUUID());
        int page = 0;
        try {
            for (; page < PAGES; page++) {
                say(sid, run, "running", page);
                Thread.sleep(50); // the work
            }
            say(sid, run, "done", page);
        } catch (InterruptedException exc) {
            say(sid, run, "failed", page);
        }
    }

    /** Returns once RabbitMQ has it. */
    void say(String sid, String run, String state, int page) {
        var message = Map.of(
            "kind", "progress", "state", state, "current", page, "total", PAGES, "title", "Report");
        var body = Map.of(
            "sid", sid, "key", "report", "run", run, "final", !state.equals("running"),
            "stall_s", 15, "message", message);
        rabbit.invoke(channel -> {
            channel.convertAndSend("progress-ws", sid, body);
            channel.waitForConfirmsOrDie(5_000);
            return null;
        });
    }
}
