//! An MQTT link that survives what brokers and clients are known to do.
