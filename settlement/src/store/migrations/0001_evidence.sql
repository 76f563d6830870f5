-- What was said and what was asked: programs, enrolments, signed reports, events, instructions, acknowledgements,
-- and what was refused. Append only; a correction is a new row. Rights are granted in 0003.

CREATE SCHEMA gridtally;
COMMENT ON SCHEMA gridtally IS 'Evidence: what gateways and operators said, as they said it, and when it was received. Append only. Numbers of reasons, stages and quantities are those of the wire format.';

CREATE FUNCTION gridtally.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'gridtally.% is append only: nothing in it is changed or removed', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'append_only', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
END $$;
COMMENT ON FUNCTION gridtally.refuse_change() IS 'Law: evidence is append only.';

-- What was agreed -----------------------------------------------------------------------------------------

CREATE TABLE gridtally.program (
    program_id text NOT NULL CHECK (length(program_id) BETWEEN 1 AND 64),
    version integer NOT NULL CHECK (version >= 1),
    document text NOT NULL CHECK (octet_length(document) <= 262144),
    hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    in_force_from timestamptz NOT NULL,
    PRIMARY KEY (program_id, version),
    UNIQUE (program_id, in_force_from)
);
COMMENT ON TABLE gridtally.program IS 'Programs: the rules, as the document that the operator wrote. An event is settled under the version in force when it was announced.';
COMMENT ON COLUMN gridtally.program.program_id IS 'The program''s name.';
COMMENT ON COLUMN gridtally.program.version IS 'A later version is a higher number and in force later.';
COMMENT ON COLUMN gridtally.program.document IS 'The TOML document, byte for byte.';
COMMENT ON COLUMN gridtally.program.hash IS 'SHA-256 of the document.';
COMMENT ON COLUMN gridtally.program.in_force_from IS 'From when on events are announced under it.';

CREATE TABLE gridtally.gateway (
    gateway_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key bytea NOT NULL UNIQUE CHECK (octet_length(key) = 32),
    site_id text NOT NULL CHECK (length(site_id) BETWEEN 1 AND 128),
    UNIQUE (gateway_id, site_id)
);
COMMENT ON TABLE gridtally.gateway IS 'Boxes. A key speaks for one site, for ever.';
COMMENT ON COLUMN gridtally.gateway.gateway_id IS 'Its number in here; the key is what others know.';
COMMENT ON COLUMN gridtally.gateway.key IS 'The ed25519 public key.';
COMMENT ON COLUMN gridtally.gateway.site_id IS 'The site that it speaks for.';

CREATE TABLE gridtally.enrolment (
    enrolment_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id text NOT NULL,
    gateway_id integer NOT NULL,
    program_id text NOT NULL,
    beneficiary text NOT NULL CHECK (length(beneficiary) BETWEEN 1 AND 128),
    interval_seconds integer NOT NULL CHECK (interval_seconds BETWEEN 60 AND 3600),
    valid_from timestamptz NOT NULL,
    UNIQUE (site_id, valid_from),
    FOREIGN KEY (gateway_id, site_id) REFERENCES gridtally.gateway (gateway_id, site_id)
);
COMMENT ON TABLE gridtally.enrolment IS 'What is agreed with a site from an instant on, until a later enrolment of the same site.';
COMMENT ON COLUMN gridtally.enrolment.enrolment_id IS 'Its number in here, rising.';
COMMENT ON COLUMN gridtally.enrolment.site_id IS 'What lies behind one grid meter.';
COMMENT ON COLUMN gridtally.enrolment.gateway_id IS 'The box that speaks for it.';
COMMENT ON COLUMN gridtally.enrolment.program_id IS 'The program it takes part in.';
COMMENT ON COLUMN gridtally.enrolment.beneficiary IS 'Who is paid.';
COMMENT ON COLUMN gridtally.enrolment.interval_seconds IS 'The length of its metering intervals.';
COMMENT ON COLUMN gridtally.enrolment.valid_from IS 'The instant from which it holds.';

CREATE TABLE gridtally.device (
    enrolment_id bigint NOT NULL REFERENCES gridtally.enrolment,
    number smallint NOT NULL CHECK (number BETWEEN 0 AND 255),
    kind text NOT NULL CHECK (kind IN ('grid_meter', 'pv_inverter', 'battery_inverter')),
    nameplate_milliwatts bigint NOT NULL CHECK (nameplate_milliwatts > 0),
    make text, model text, serial text,
    PRIMARY KEY (enrolment_id, number)
);
CREATE UNIQUE INDEX one_meter ON gridtally.device (enrolment_id) WHERE kind = 'grid_meter';
COMMENT ON TABLE gridtally.device IS 'The devices of an enrolment. Their channels follow from the kind.';
COMMENT ON COLUMN gridtally.device.enrolment_id IS 'Of which enrolment.';
COMMENT ON COLUMN gridtally.device.number IS 'Its number in reports.';
COMMENT ON COLUMN gridtally.device.kind IS 'What it is.';
COMMENT ON COLUMN gridtally.device.nameplate_milliwatts IS 'The power that its energies are bounded by.';
COMMENT ON COLUMN gridtally.device.make IS 'Who made it, where known.';
COMMENT ON COLUMN gridtally.device.model IS 'Its model, where known.';
COMMENT ON COLUMN gridtally.device.serial IS 'Its serial number, where known.';
COMMENT ON INDEX gridtally.one_meter IS 'A site lies behind one grid meter.';

-- What was measured ---------------------------------------------------------------------------------------

CREATE TABLE gridtally.report (
    report_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gateway_id integer NOT NULL REFERENCES gridtally.gateway,
    sequence bigint NOT NULL CHECK (sequence >= 1),
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    previous bytea NOT NULL CHECK (octet_length(previous) = 32),
    start_at timestamptz NOT NULL,
    end_at timestamptz NOT NULL CHECK (end_at > start_at),
    received_at timestamptz NOT NULL,
    refusal smallint,
    detail text,
    envelope bytea NOT NULL CHECK (octet_length(envelope) <= 16384),
    CHECK ((refusal IS NULL) = (detail IS NULL))
);
CREATE INDEX report_of_gateway ON gridtally.report (gateway_id, sequence);
COMMENT ON TABLE gridtally.report IS 'Every report that an enrolled gateway signed, also those that were refused: two different ones of one sequence number prove an equivocation, and every one is a neighbour to the next in its chain.';
COMMENT ON COLUMN gridtally.report.report_id IS 'Its number in here, in the order of receipt.';
COMMENT ON COLUMN gridtally.report.gateway_id IS 'Who signed.';
COMMENT ON COLUMN gridtally.report.sequence IS 'The gateway''s number for it.';
COMMENT ON COLUMN gridtally.report.digest IS 'SHA-256 of the envelope.';
COMMENT ON COLUMN gridtally.report.previous IS 'The digest of the report before it, as it says itself.';
COMMENT ON COLUMN gridtally.report.start_at IS 'The start of its first interval.';
COMMENT ON COLUMN gridtally.report.end_at IS 'The end of its last interval.';
COMMENT ON COLUMN gridtally.report.received_at IS 'When the engine first received it, by the engine''s clock.';
COMMENT ON COLUMN gridtally.report.refusal IS 'Why it was refused by itself, judged once, at receipt. What its neighbours say about it (equivocation, broken chain) is in report_standing, because neighbours may come later.';
COMMENT ON COLUMN gridtally.report.detail IS 'The refusal as a sentence.';
COMMENT ON COLUMN gridtally.report.envelope IS 'The signed bytes, as received.';
COMMENT ON INDEX gridtally.report_of_gateway IS 'The chain of a gateway.';

CREATE TABLE gridtally.reading (
    report_id bigint NOT NULL REFERENCES gridtally.report,
    gateway_id integer NOT NULL,
    device smallint NOT NULL,
    quantity smallint NOT NULL,
    missing smallint,
    refusal smallint,
    start_at timestamptz NOT NULL,
    value bigint,
    PRIMARY KEY (gateway_id, start_at, device, quantity, report_id),
    CHECK ((missing IS NULL) <> (value IS NULL))
);
COMMENT ON TABLE gridtally.reading IS 'The intervals of the reports that were not refused by themselves: a projection of report.envelope.';
COMMENT ON COLUMN gridtally.reading.report_id IS 'Which report says so.';
COMMENT ON COLUMN gridtally.reading.gateway_id IS 'Whose it is.';
COMMENT ON COLUMN gridtally.reading.device IS 'Which device.';
COMMENT ON COLUMN gridtally.reading.quantity IS 'What was measured.';
COMMENT ON COLUMN gridtally.reading.missing IS 'Why there is no value.';
COMMENT ON COLUMN gridtally.reading.refusal IS 'Why the value does not count, though the report does.';
COMMENT ON COLUMN gridtally.reading.start_at IS 'The start of the interval.';
COMMENT ON COLUMN gridtally.reading.value IS 'Milliwatt-hours, or thousandths of a percent for a state of charge.';

CREATE VIEW gridtally.report_standing AS
    SELECT r.report_id, r.gateway_id, r.sequence,
           coalesce(r.refusal, CASE
               WHEN EXISTS (SELECT FROM gridtally.report same
                            WHERE (same.gateway_id, same.sequence) = (r.gateway_id, r.sequence) AND same.digest <> r.digest) THEN 5
               WHEN EXISTS (SELECT FROM gridtally.report before
                            WHERE (before.gateway_id, before.sequence) = (r.gateway_id, r.sequence - 1))
                AND NOT EXISTS (SELECT FROM gridtally.report before
                            WHERE (before.gateway_id, before.sequence) = (r.gateway_id, r.sequence - 1) AND before.digest = r.previous) THEN 6
           END)::smallint AS refusal
    FROM gridtally.report r;
COMMENT ON VIEW gridtally.report_standing IS 'What holds of each report, with all of its neighbours that have come so far: null where it counts, else the number of the reason (5: equivocation, 6: broken chain). The same rule as ingest::chain.';

CREATE VIEW gridtally.effective_reading AS
    SELECT DISTINCT ON (g.gateway_id, g.start_at, g.device, g.quantity)
           g.gateway_id, g.start_at, g.device, g.quantity, g.value, g.missing, g.refusal, s.sequence
    FROM gridtally.reading g JOIN gridtally.report_standing s USING (report_id)
    WHERE s.refusal IS NULL
    ORDER BY g.gateway_id, g.start_at, g.device, g.quantity, s.sequence;
COMMENT ON VIEW gridtally.effective_reading IS 'The reading of each interval and channel: what the report of the lowest sequence number says that stands. The next report commits to it by its digest, so it cannot be revised.';

CREATE TABLE gridtally.refused (
    refused_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL,
    topic text NOT NULL CHECK (length(topic) <= 512),
    gateway_key bytea CHECK (octet_length(gateway_key) = 32),
    reason smallint NOT NULL,
    detail text NOT NULL,
    length integer NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    bytes bytea NOT NULL CHECK (octet_length(bytes) <= 16384),
    UNIQUE (topic, digest, reason)
);
COMMENT ON TABLE gridtally.refused IS 'Messages that nobody enrolled has said, or that say nothing: forged, replayed on another''s topic, malformed. The same bytes on the same topic for the same reason are kept once.';
COMMENT ON COLUMN gridtally.refused.refused_id IS 'Its number in here.';
COMMENT ON COLUMN gridtally.refused.received_at IS 'When it first came.';
COMMENT ON COLUMN gridtally.refused.topic IS 'The topic it came on, cut to 512 characters.';
COMMENT ON COLUMN gridtally.refused.gateway_key IS 'The gateway that the topic names, where it names one; not proof that it came from there.';
COMMENT ON COLUMN gridtally.refused.reason IS 'Why.';
COMMENT ON COLUMN gridtally.refused.detail IS 'Why, as a sentence.';
COMMENT ON COLUMN gridtally.refused.length IS 'How many bytes came.';
COMMENT ON COLUMN gridtally.refused.digest IS 'SHA-256 of the bytes as far as they were read.';
COMMENT ON COLUMN gridtally.refused.bytes IS 'The bytes, at most 16 KiB of them.';

-- What was asked ------------------------------------------------------------------------------------------

CREATE TABLE gridtally.event (
    event_id text PRIMARY KEY CHECK (event_id ~ '^[a-z0-9-]{1,64}$'),
    program_id text NOT NULL,
    program_version integer NOT NULL,
    start_at timestamptz NOT NULL,
    end_at timestamptz NOT NULL CHECK (end_at > start_at),
    announced_at timestamptz NOT NULL CHECK (announced_at < end_at),
    FOREIGN KEY (program_id, program_version) REFERENCES gridtally.program (program_id, version)
);
COMMENT ON TABLE gridtally.event IS 'Events, as announced.';
COMMENT ON COLUMN gridtally.event.event_id IS 'Its name.';
COMMENT ON COLUMN gridtally.event.program_id IS 'Of which program.';
COMMENT ON COLUMN gridtally.event.program_version IS 'The version in force when it was announced.';
COMMENT ON COLUMN gridtally.event.start_at IS 'Its first instant.';
COMMENT ON COLUMN gridtally.event.end_at IS 'The first instant after it.';
COMMENT ON COLUMN gridtally.event.announced_at IS 'When it was announced.';

CREATE TABLE gridtally.instruction (
    instruction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL REFERENCES gridtally.event,
    gateway_id integer NOT NULL REFERENCES gridtally.gateway,
    sequence bigint NOT NULL CHECK (sequence >= 1),
    expires_at timestamptz NOT NULL,
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    envelope bytea NOT NULL CHECK (octet_length(envelope) <= 16384),
    UNIQUE (gateway_id, sequence),
    UNIQUE (event_id, gateway_id)
);
COMMENT ON TABLE gridtally.instruction IS 'What the engine signed for a gateway to do.';
COMMENT ON COLUMN gridtally.instruction.instruction_id IS 'Its number in here.';
COMMENT ON COLUMN gridtally.instruction.event_id IS 'For which event.';
COMMENT ON COLUMN gridtally.instruction.gateway_id IS 'For whom.';
COMMENT ON COLUMN gridtally.instruction.sequence IS 'The engine''s number for this gateway.';
COMMENT ON COLUMN gridtally.instruction.expires_at IS 'After this it is not sent any more.';
COMMENT ON COLUMN gridtally.instruction.digest IS 'SHA-256 of the envelope.';
COMMENT ON COLUMN gridtally.instruction.envelope IS 'The signed bytes.';

CREATE TABLE gridtally.sending (
    instruction_id bigint PRIMARY KEY REFERENCES gridtally.instruction,
    first_sent_at timestamptz NOT NULL
);
COMMENT ON TABLE gridtally.sending IS 'Instructions that were given to the broker at least once.';
COMMENT ON COLUMN gridtally.sending.instruction_id IS 'Which.';
COMMENT ON COLUMN gridtally.sending.first_sent_at IS 'When first.';

CREATE TABLE gridtally.acknowledgement (
    acknowledgement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instruction_id bigint NOT NULL REFERENCES gridtally.instruction,
    stage smallint NOT NULL,
    reached_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    envelope bytea NOT NULL CHECK (octet_length(envelope) <= 16384)
);
CREATE INDEX acknowledgement_of_instruction ON gridtally.acknowledgement (instruction_id, stage);
COMMENT ON TABLE gridtally.acknowledgement IS 'What gateways did about their instructions.';
COMMENT ON COLUMN gridtally.acknowledgement.acknowledgement_id IS 'Its number in here, in the order of receipt.';
COMMENT ON COLUMN gridtally.acknowledgement.instruction_id IS 'About which instruction.';
COMMENT ON COLUMN gridtally.acknowledgement.stage IS 'How far the gateway has come.';
COMMENT ON COLUMN gridtally.acknowledgement.reached_at IS 'When, by the gateway''s clock.';
COMMENT ON COLUMN gridtally.acknowledgement.received_at IS 'When the engine first received it.';
COMMENT ON COLUMN gridtally.acknowledgement.digest IS 'SHA-256 of the envelope.';
COMMENT ON COLUMN gridtally.acknowledgement.envelope IS 'The signed bytes.';
COMMENT ON INDEX gridtally.acknowledgement_of_instruction IS 'The stages of an instruction.';

DO $$
DECLARE relation text;
BEGIN
    FOREACH relation IN ARRAY ARRAY['program', 'gateway', 'enrolment', 'device', 'report', 'reading', 'refused',
                                    'event', 'instruction', 'sending', 'acknowledgement'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON gridtally.%I
                        FOR EACH STATEMENT EXECUTE FUNCTION gridtally.refuse_change()', relation);
        EXECUTE format('ALTER TABLE gridtally.%I ENABLE ALWAYS TRIGGER append_only', relation);
        EXECUTE format('COMMENT ON TRIGGER append_only ON gridtally.%I IS ''Law: append only.''', relation);
    END LOOP;
END $$;
