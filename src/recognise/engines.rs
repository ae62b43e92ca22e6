//! The table of what keeps data, with everything that it is told by; the special before the general.
//!
//! Names of images, directories and variables are those of the official images and of Bitnami's, and of
//! builds that are widely used. What only caches or only measures is not here: its data come again.

use super::{Engine, Parts};

/// What an engine has no evidence of a kind for.
const NONE: Engine = Engine {
    name: "",
    images: &[],
    programs: &[],
    directories: &[],
    usual: &[],
    variables: &[],
    shared_variables: &[],
    ports: &[],
    port_names: &[],
    clients: &[],
    parts: NO_PARTS,
};

/// What an engine keeps nothing in but its data directory, as far as its pod could tell.
const NO_PARTS: Parts = Parts {
    data: &[],
    others: &[],
    paths: &[],
};

/// Those of InnoDB. Its binary log belongs to it: recovery asks the log which transactions are to stay.
const INNODB: Parts = Parts {
    data: &["--datadir"],
    others: &[
        "--innodb-data-home-dir",
        "--innodb-log-group-home-dir",
        "--innodb-undo-directory",
        "--innodb-directories",
        "--log-bin",
    ],
    paths: &["*/#innodb_redo", "*/#innodb_undo"],
};

/// Those of Redis and what came of it.
const APPEND_ONLY: Parts = Parts {
    paths: &["*/appendonlydir"],
    ..NO_PARTS
};

/// Those of Cassandra and Scylla.
const COMMIT_LOG: Parts = Parts {
    paths: &["*/commitlog", "*/cassandra/data*", "*/scylla/data*"],
    ..NO_PARTS
};

pub const ENGINES: &[Engine] = &[
    Engine {
        name: "CockroachDB",
        images: &["cockroach", "cockroach-unstable"],
        programs: &["cockroach"],
        directories: &["/cockroach/cockroach-data"],
        variables: &["COCKROACH_DATABASE"],
        ports: &[26257],
        parts: Parts {
            data: &["--store"],
            ..NO_PARTS
        },
        ..NONE
    },
    Engine {
        name: "YugabyteDB",
        images: &["yugabyte"],
        programs: &["yb-tserver", "yb-master", "yugabyted"],
        ports: &[5433, 7100, 9100],
        parts: Parts {
            data: &["--fs-data-dirs"],
            others: &["--fs-wal-dirs"],
            ..NO_PARTS
        },
        ..NONE
    },
    Engine {
        name: "PostgreSQL",
        images: &[
            "postgres",
            "postgresql",
            "postgresql-repmgr",
            "postgresql-ha",
            "postgresql-1*",
            "postgresql-9*",
            "postgis",
            "pgvector",
            "pgvecto-rs",
            "timescaledb",
            "timescaledb-ha",
            "citus",
            "spilo",
            "spilo-*",
            "crunchy-postgres",
            "crunchy-postgres-gis",
            "percona-distribution-postgresql",
            "edb-postgres-advanced",
            "paradedb",
            "pgautofailover",
        ],
        programs: &["postgres", "postmaster", "patroni"],
        directories: &[
            "/var/lib/postgresql",
            "/bitnami/postgresql",
            "/var/lib/pgsql",
            "/home/postgres/pgdata",
            "/pgdata",
        ],
        variables: &[
            "PGDATA",
            "POSTGRES_INITDB_ARGS",
            "POSTGRES_HOST_AUTH_METHOD",
            "POSTGRESQL_VOLUME_DIR",
            "POSTGRESQL_DATA_DIR",
            "POSTGRESQL_POSTGRES_PASSWORD",
        ],
        shared_variables: &[
            "POSTGRES_PASSWORD",
            "POSTGRES_PASSWORD_FILE",
            "POSTGRES_DB",
            "POSTGRES_USER",
            "POSTGRESQL_PASSWORD",
            "POSTGRESQL_DATABASE",
        ],
        ports: &[5432],
        port_names: &["postgresql", "postgres", "tcp-postgresql", "pgsql"],
        parts: Parts {
            data: &["PGDATA", "POSTGRESQL_DATA_DIR", "-D"],
            others: &[
                "POSTGRES_INITDB_WALDIR",
                "POSTGRES_INITDB_ARGS",
                "POSTGRESQL_INITDB_WAL_DIR",
                "POSTGRESQL_INITDB_ARGS",
            ],
            paths: &[
                "*/pg_wal",
                "*/pg_xlog",
                "/pgwal",
                "/pgwal/*",
                "*/pg_tblspc",
                "*/pg_tblspc/*",
            ],
        },
        ..NONE
    },
    Engine {
        name: "MariaDB",
        images: &[
            "mariadb",
            "mariadb-galera",
            "mariadb-server",
            "mariadb-1*",
            "mariadb/enterprise-server",
        ],
        programs: &["mariadbd", "mariadbd-safe"],
        directories: &["/bitnami/mariadb"],
        variables: &[
            "MARIADB_ROOT_PASSWORD",
            "MARIADB_ROOT_PASSWORD_FILE",
            "MARIADB_GALERA_CLUSTER_NAME",
            "MARIADB_REPLICATION_MODE",
        ],
        shared_variables: &["MARIADB_PASSWORD", "MARIADB_DATABASE", "MARIADB_USER"],
        ports: &[3306],
        port_names: &["mariadb"],
        parts: INNODB,
        ..NONE
    },
    Engine {
        name: "MySQL",
        images: &[
            "mysql",
            "mysql-server",
            "mysql-8*",
            "mysql/community-server",
            "mysql/enterprise-server",
            "percona",
            "percona-server",
            "percona-xtradb-cluster",
            "pxc",
        ],
        programs: &["mysqld", "mysqld_safe"],
        directories: &["/var/lib/mysql", "/bitnami/mysql"],
        variables: &[
            "MYSQL_ROOT_PASSWORD",
            "MYSQL_ROOT_PASSWORD_FILE",
            "MYSQL_RANDOM_ROOT_PASSWORD",
            "MYSQL_ALLOW_EMPTY_PASSWORD",
        ],
        shared_variables: &["MYSQL_PASSWORD", "MYSQL_DATABASE", "MYSQL_USER"],
        ports: &[3306, 33060],
        port_names: &["mysql", "tcp-mysql"],
        parts: INNODB,
        ..NONE
    },
    Engine {
        name: "TiDB",
        images: &["tikv", "tidb"],
        programs: &["tikv-server"],
        directories: &["/var/lib/tikv"],
        ports: &[20160],
        ..NONE
    },
    Engine {
        name: "SingleStore",
        images: &["memsql-node", "singlestoredb-dev"],
        directories: &["/var/lib/memsql"],
        ..NONE
    },
    Engine {
        name: "MongoDB",
        images: &[
            "mongo",
            "mongodb",
            "mongodb-sharded",
            "mongodb-community-server",
            "mongodb-enterprise-server",
            "percona-server-mongodb",
        ],
        programs: &["mongod"],
        directories: &[
            "/data/db",
            "/data/configdb",
            "/bitnami/mongodb",
            "/var/lib/mongo",
        ],
        variables: &[
            "MONGO_INITDB_ROOT_USERNAME",
            "MONGO_INITDB_ROOT_PASSWORD",
            "MONGO_INITDB_DATABASE",
            "MONGODB_ROOT_PASSWORD",
            "MONGODB_REPLICA_SET_MODE",
        ],
        ports: &[27017, 27018, 27019],
        port_names: &["mongodb", "mongo", "mongod"],
        parts: Parts {
            data: &["--dbpath"],
            paths: &["*/journal"],
            ..NO_PARTS
        },
        ..NONE
    },
    Engine {
        name: "FerretDB",
        images: &["ferretdb-eval", "ferretdb-all-in-one"],
        usual: &["/data"],
        ..NONE
    },
    Engine {
        name: "Valkey",
        images: &["valkey", "valkey-cluster", "valkey-bundle"],
        programs: &["valkey-server"],
        directories: &["/bitnami/valkey"],
        variables: &["VALKEY_REPLICATION_MODE"],
        shared_variables: &["VALKEY_PASSWORD"],
        ports: &[6379],
        port_names: &["tcp-valkey", "valkey"],
        usual: &["/data"],
        parts: APPEND_ONLY,
        ..NONE
    },
    Engine {
        name: "KeyDB",
        images: &["keydb"],
        programs: &["keydb-server"],
        ports: &[6379],
        port_names: &["keydb"],
        usual: &["/data"],
        parts: APPEND_ONLY,
        ..NONE
    },
    Engine {
        name: "Dragonfly",
        images: &["dragonfly"],
        programs: &["dragonfly"],
        ports: &[6379],
        usual: &["/data"],
        ..NONE
    },
    Engine {
        name: "Redis",
        images: &[
            "redis",
            "redis-cluster",
            "redis-stack",
            "redis-stack-server",
        ],
        programs: &["redis-server"],
        directories: &["/bitnami/redis", "/var/lib/redis"],
        variables: &["REDIS_REPLICATION_MODE", "REDIS_AOF_ENABLED"],
        shared_variables: &["REDIS_PASSWORD"],
        ports: &[6379],
        port_names: &["redis", "tcp-redis"],
        usual: &["/data"],
        parts: APPEND_ONLY,
        ..NONE
    },
    Engine {
        name: "etcd",
        images: &["etcd"],
        programs: &["etcd"],
        directories: &["/var/lib/etcd", "/bitnami/etcd", "/var/run/etcd"],
        variables: &["ETCD_DATA_DIR", "ETCD_INITIAL_CLUSTER", "ETCD_NAME"],
        ports: &[2379, 2380],
        port_names: &["etcd"],
        parts: Parts {
            data: &["ETCD_DATA_DIR", "--data-dir"],
            others: &["ETCD_WAL_DIR", "--wal-dir"],
            paths: &["*/member/wal"],
        },
        ..NONE
    },
    Engine {
        name: "Consul",
        images: &["consul", "consul-enterprise"],
        directories: &["/consul/data", "/bitnami/consul"],
        ports: &[8300, 8301, 8302, 8500],
        port_names: &["consul"],
        ..NONE
    },
    Engine {
        name: "OpenBao",
        images: &["openbao", "openbao-ubi", "openbao-hsm-ubi"],
        clients: &["agent", "proxy"],
        directories: &["/openbao/data", "/openbao/file"],
        ports: &[8200, 8201],
        ..NONE
    },
    Engine {
        name: "Vault",
        images: &["vault", "vault-enterprise"],
        clients: &["agent", "proxy"],
        directories: &["/vault/data", "/vault/file", "/bitnami/vault"],
        variables: &["VAULT_LOCAL_CONFIG", "VAULT_RAFT_NODE_ID"],
        ports: &[8200, 8201],
        port_names: &["vault"],
        ..NONE
    },
    Engine {
        name: "InfluxDB",
        images: &["influxdb", "influxdb-enterprise", "influxdb3-core"],
        programs: &["influxd", "influxdb3"],
        directories: &[
            "/var/lib/influxdb",
            "/var/lib/influxdb2",
            "/bitnami/influxdb",
        ],
        variables: &[
            "INFLUXDB_ADMIN_PASSWORD",
            "INFLUXDB_HTTP_AUTH_ENABLED",
            "DOCKER_INFLUXDB_INIT_MODE",
        ],
        shared_variables: &["INFLUXDB_DB"],
        ports: &[8086, 8088],
        port_names: &["influxdb"],
        parts: Parts {
            data: &["INFLUXDB_DATA_DIR", "INFLUXD_ENGINE_PATH", "--engine-path"],
            others: &[
                "INFLUXDB_DATA_WAL_DIR",
                "INFLUXDB_META_DIR",
                "INFLUXD_BOLT_PATH",
                "--bolt-path",
            ],
            paths: &["*/influxdb/wal", "*/influxdb/meta", "*/influxdb/data"],
        },
        ..NONE
    },
    Engine {
        name: "RabbitMQ",
        images: &["rabbitmq"],
        programs: &["rabbitmq-server"],
        directories: &[
            "/var/lib/rabbitmq",
            "/bitnami/rabbitmq",
            "/opt/bitnami/rabbitmq/.rabbitmq",
        ],
        variables: &[
            "RABBITMQ_DEFAULT_USER",
            "RABBITMQ_ERLANG_COOKIE",
            "RABBITMQ_NODENAME",
        ],
        ports: &[5672, 25672],
        port_names: &["amqp"],
        ..NONE
    },
    Engine {
        name: "OpenLDAP",
        images: &["openldap", "docker-openldap"],
        programs: &["slapd"],
        directories: &["/var/lib/ldap", "/etc/ldap/slapd.d", "/bitnami/openldap"],
        variables: &["LDAP_ADMIN_PASSWORD", "LDAP_ROOT", "SLAPD_PASSWORD"],
        ports: &[389, 1389, 636, 1636],
        port_names: &["ldap-port"],
        ..NONE
    },
    Engine {
        name: "389 Directory Server",
        images: &["dirsrv", "389-ds", "389ds"],
        programs: &["dscontainer", "ns-slapd"],
        variables: &["DS_DM_PASSWORD"],
        ports: &[3389, 3636],
        ..NONE
    },
    Engine {
        name: "NATS",
        images: &["nats", "nats-streaming"],
        programs: &["nats-server"],
        directories: &["/data/jetstream"],
        ports: &[4222, 6222],
        port_names: &["nats"],
        usual: &["/data"],
        ..NONE
    },
    Engine {
        name: "ZooKeeper",
        images: &["zookeeper", "cp-zookeeper"],
        directories: &["/bitnami/zookeeper", "/var/lib/zookeeper", "/datalog"],
        variables: &["ZOO_MY_ID", "ZOO_SERVERS", "ZOOKEEPER_SERVER_ID"],
        ports: &[2181, 2888, 3888],
        port_names: &["zookeeper"],
        usual: &["/data"],
        parts: Parts {
            data: &["ZOO_DATA_DIR"],
            others: &["ZOO_DATA_LOG_DIR"],
            paths: &[
                "/datalog",
                "/bitnami/zookeeper/dataLog",
                "/bitnami/zookeeper/datalog",
                "/var/lib/zookeeper/data",
                "/var/lib/zookeeper/log",
            ],
        },
        ..NONE
    },
    Engine {
        name: "rqlite",
        images: &["rqlite"],
        programs: &["rqlited"],
        directories: &["/rqlite/file"],
        ports: &[4001],
        ..NONE
    },
    Engine {
        name: "Scylla",
        images: &["scylla", "scylla-enterprise"],
        directories: &["/var/lib/scylla"],
        ports: &[9042, 7000],
        parts: COMMIT_LOG,
        ..NONE
    },
    Engine {
        name: "Cassandra",
        images: &["cassandra", "cass-management-api", "dse-server"],
        programs: &["cassandra"],
        directories: &["/var/lib/cassandra", "/bitnami/cassandra"],
        variables: &["CASSANDRA_CLUSTER_NAME", "CASSANDRA_SEEDS"],
        ports: &[9042, 7000, 7001],
        port_names: &["cql"],
        parts: COMMIT_LOG,
        ..NONE
    },
    Engine {
        name: "OpenSearch",
        images: &["opensearch"],
        directories: &["/usr/share/opensearch/data", "/bitnami/opensearch"],
        variables: &["OPENSEARCH_INITIAL_ADMIN_PASSWORD", "OPENSEARCH_JAVA_OPTS"],
        ports: &[9200, 9300],
        parts: Parts {
            data: &["path.data"],
            ..NO_PARTS
        },
        ..NONE
    },
    Engine {
        name: "Elasticsearch",
        images: &["elasticsearch"],
        directories: &["/usr/share/elasticsearch/data", "/bitnami/elasticsearch"],
        variables: &["ES_JAVA_OPTS", "ELASTIC_PASSWORD", "discovery.type"],
        ports: &[9200, 9300],
        port_names: &["elasticsearch"],
        parts: Parts {
            data: &["path.data"],
            ..NO_PARTS
        },
        ..NONE
    },
    Engine {
        name: "Solr",
        images: &["solr"],
        directories: &["/var/solr", "/bitnami/solr"],
        variables: &["SOLR_HOME"],
        ports: &[8983],
        ..NONE
    },
    Engine {
        name: "ClickHouse",
        images: &["clickhouse", "clickhouse-server"],
        programs: &["clickhouse-server"],
        directories: &["/var/lib/clickhouse", "/bitnami/clickhouse"],
        shared_variables: &["CLICKHOUSE_PASSWORD", "CLICKHOUSE_DB", "CLICKHOUSE_USER"],
        ports: &[9000, 8123, 9009],
        port_names: &["clickhouse"],
        parts: Parts {
            paths: &["*/clickhouse/disks/*"],
            ..NO_PARTS
        },
        ..NONE
    },
    Engine {
        name: "ClickHouse Keeper",
        images: &["clickhouse-keeper"],
        programs: &["clickhouse-keeper"],
        directories: &["/var/lib/clickhouse-keeper"],
        ports: &[9181],
        ..NONE
    },
    Engine {
        name: "SQL Server",
        images: &[
            "mssql/server",
            "mssql/rhel/server",
            "azure-sql-edge",
            "mssql-server-linux",
        ],
        programs: &["sqlservr"],
        directories: &["/var/opt/mssql"],
        variables: &["MSSQL_SA_PASSWORD", "MSSQL_PID"],
        shared_variables: &["SA_PASSWORD"],
        ports: &[1433],
        port_names: &["mssql"],
        parts: Parts {
            data: &["MSSQL_DATA_DIR"],
            others: &[
                "MSSQL_LOG_DIR",
                "MSSQL_MASTER_LOG_FILE",
                "MSSQL_MASTER_DATA_FILE",
            ],
            paths: &["/var/opt/mssql/data"],
        },
        ..NONE
    },
    Engine {
        name: "Oracle Database",
        images: &[
            "oracle-xe",
            "oracle-free",
            "database/enterprise",
            "database/express",
            "database/free",
        ],
        directories: &["/opt/oracle/oradata", "/u01/app/oracle/oradata"],
        variables: &["ORACLE_SID", "ORACLE_PDB", "ORACLE_PWD"],
        ports: &[1521],
        ..NONE
    },
    Engine {
        name: "Db2",
        images: &["db2", "db2_community/db2", "db2u"],
        directories: &["/database"],
        variables: &["DB2INST1_PASSWORD", "DB2INSTANCE"],
        ports: &[50000],
        ..NONE
    },
    Engine {
        name: "SAP HANA",
        images: &["hanaexpress", "hana-express"],
        directories: &["/hana/mounts", "/hana/data"],
        ..NONE
    },
    Engine {
        name: "Firebird",
        images: &["firebird"],
        directories: &["/firebird/data", "/var/lib/firebird/data"],
        variables: &["ISC_PASSWORD", "FIREBIRD_ROOT_PASSWORD"],
        ports: &[3050],
        ..NONE
    },
    Engine {
        name: "Neo4j",
        images: &["neo4j"],
        programs: &["neo4j"],
        directories: &["/bitnami/neo4j", "/var/lib/neo4j/data"],
        variables: &["NEO4J_AUTH", "NEO4J_ACCEPT_LICENSE_AGREEMENT"],
        ports: &[7687, 7474],
        port_names: &["tcp-bolt", "bolt"],
        usual: &["/data"],
        parts: Parts {
            paths: &["*/data/databases", "*/data/transactions"],
            ..NO_PARTS
        },
        ..NONE
    },
    Engine {
        name: "Memgraph",
        images: &["memgraph", "memgraph-mage", "memgraph-platform"],
        directories: &["/var/lib/memgraph"],
        ports: &[7687],
        ..NONE
    },
    Engine {
        name: "Dgraph",
        images: &["dgraph"],
        directories: &["/dgraph/data"],
        ports: &[9080, 7080, 5080],
        ..NONE
    },
    Engine {
        name: "CouchDB",
        images: &["couchdb"],
        directories: &["/opt/couchdb/data", "/bitnami/couchdb"],
        variables: &["COUCHDB_ERLANG_COOKIE"],
        shared_variables: &["COUCHDB_PASSWORD", "COUCHDB_USER"],
        ports: &[5984],
        port_names: &["couchdb"],
        ..NONE
    },
    Engine {
        name: "Couchbase",
        images: &["couchbase", "couchbase/server"],
        directories: &["/opt/couchbase/var"],
        ports: &[8091, 11210],
        ..NONE
    },
    Engine {
        name: "ArangoDB",
        images: &["arangodb", "arangodb-enterprise"],
        programs: &["arangod"],
        directories: &["/var/lib/arangodb3"],
        variables: &["ARANGO_ROOT_PASSWORD", "ARANGO_NO_AUTH"],
        ports: &[8529],
        ..NONE
    },
    Engine {
        name: "RethinkDB",
        images: &["rethinkdb"],
        programs: &["rethinkdb"],
        ports: &[28015, 29015],
        usual: &["/data"],
        ..NONE
    },
    Engine {
        name: "RavenDB",
        images: &["ravendb"],
        directories: &["/opt/RavenDB/Server/RavenDB", "/var/lib/ravendb/data"],
        variables: &["RAVEN_Setup_Mode"],
        ports: &[38888],
        ..NONE
    },
    Engine {
        name: "FoundationDB",
        images: &["foundationdb", "foundationdb-kubernetes"],
        programs: &["fdbserver", "fdbmonitor"],
        directories: &["/var/fdb/data"],
        ports: &[4500, 4501],
        ..NONE
    },
    Engine {
        name: "SurrealDB",
        images: &["surrealdb"],
        programs: &["surreal"],
        ..NONE
    },
    Engine {
        name: "EventStoreDB",
        images: &["eventstore", "kurrentdb"],
        directories: &["/var/lib/eventstore", "/var/lib/kurrentdb"],
        variables: &["EVENTSTORE_CLUSTER_SIZE"],
        ports: &[2113],
        ..NONE
    },
    Engine {
        name: "Aerospike",
        images: &["aerospike-server", "aerospike-server-enterprise"],
        programs: &["asd"],
        directories: &["/opt/aerospike/data"],
        ports: &[3000, 3001],
        ..NONE
    },
    Engine {
        name: "HBase",
        images: &["hbase"],
        ports: &[16000, 16020],
        ..NONE
    },
    Engine {
        name: "Druid",
        images: &["druid"],
        ..NONE
    },
    Engine {
        name: "QuestDB",
        images: &["questdb"],
        directories: &["/var/lib/questdb"],
        ports: &[9009, 8812],
        ..NONE
    },
    Engine {
        name: "CrateDB",
        images: &["crate"],
        ports: &[4200, 4300],
        usual: &["/data"],
        ..NONE
    },
    Engine {
        name: "Doris",
        images: &["doris.fe", "doris.be", "fe-ubuntu", "be-ubuntu"],
        ..NONE
    },
    Engine {
        name: "Meilisearch",
        images: &["meilisearch"],
        programs: &["meilisearch"],
        directories: &["/meili_data"],
        variables: &["MEILI_DB_PATH"],
        shared_variables: &["MEILI_MASTER_KEY"],
        ports: &[7700],
        ..NONE
    },
    Engine {
        name: "Typesense",
        images: &["typesense"],
        programs: &["typesense-server"],
        variables: &["TYPESENSE_DATA_DIR"],
        ports: &[8108],
        ..NONE
    },
    Engine {
        name: "Manticore Search",
        images: &["manticore"],
        programs: &["searchd"],
        directories: &["/var/lib/manticore"],
        ports: &[9306, 9308],
        ..NONE
    },
    Engine {
        name: "Qdrant",
        images: &["qdrant"],
        directories: &["/qdrant/storage"],
        ports: &[6333, 6334],
        ..NONE
    },
    Engine {
        name: "Weaviate",
        images: &["weaviate"],
        directories: &["/var/lib/weaviate"],
        variables: &["PERSISTENCE_DATA_PATH"],
        usual: &["/data"],
        ..NONE
    },
    Engine {
        name: "Milvus",
        images: &["milvus"],
        directories: &["/var/lib/milvus"],
        ports: &[19530],
        ..NONE
    },
    Engine {
        name: "Chroma",
        images: &["chromadb/chroma", "chroma-core/chroma"],
        directories: &["/chroma/chroma"],
        ..NONE
    },
    Engine {
        name: "Redpanda",
        images: &["redpanda"],
        programs: &["redpanda"],
        directories: &["/var/lib/redpanda"],
        ports: &[9092, 33145],
        ..NONE
    },
    Engine {
        name: "Kafka",
        images: &[
            "kafka",
            "cp-kafka",
            "cp-server",
            "kafka-native",
            "confluent-local",
        ],
        directories: &["/bitnami/kafka", "/var/lib/kafka", "/kafka/data"],
        variables: &[
            "KAFKA_LOG_DIRS",
            "KAFKA_ADVERTISED_LISTENERS",
            "KAFKA_CFG_NODE_ID",
            "KAFKA_BROKER_ID",
            "KAFKA_NODE_ID",
        ],
        ports: &[9092, 9093, 9094],
        port_names: &["kafka", "tcp-clients"],
        parts: Parts {
            data: &["KAFKA_LOG_DIRS", "KAFKA_CFG_LOG_DIRS"],
            others: &["KAFKA_METADATA_LOG_DIR", "KAFKA_CFG_METADATA_LOG_DIR"],
            paths: &["/var/lib/kafka/data*"],
        },
        ..NONE
    },
    Engine {
        name: "Pulsar",
        images: &["pulsar", "pulsar-all", "bookkeeper"],
        directories: &["/pulsar/data"],
        ports: &[6650, 3181],
        parts: Parts {
            others: &[
                "BK_journalDirectory",
                "BK_journalDirectories",
                "BK_ledgerDirectories",
                "journalDirectories",
                "ledgerDirectories",
            ],
            paths: &["*/bookkeeper/journal*", "*/bookkeeper/ledgers*"],
            ..NO_PARTS
        },
        ..NONE
    },
    Engine {
        name: "ActiveMQ",
        images: &[
            "activemq",
            "activemq-classic",
            "activemq-artemis",
            "artemis",
        ],
        directories: &["/var/lib/artemis-instance", "/opt/apache-activemq/data"],
        ports: &[61616],
        ..NONE
    },
    Engine {
        name: "EMQX",
        images: &["emqx", "emqx-enterprise"],
        directories: &["/opt/emqx/data"],
        variables: &["EMQX_NODE__COOKIE", "EMQX_NODE_NAME"],
        ..NONE
    },
    Engine {
        name: "MinIO",
        images: &["minio"],
        programs: &["minio"],
        directories: &["/bitnami/minio"],
        variables: &["MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"],
        ports: &[9000, 9001],
        port_names: &["minio", "minio-api"],
        usual: &["/data"],
        parts: Parts {
            data: &["MINIO_VOLUMES"],
            paths: &["/data*", "/export*"],
            ..NO_PARTS
        },
        ..NONE
    },
];
