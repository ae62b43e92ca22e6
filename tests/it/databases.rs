//! The library's hooks on real servers: the argv that the program writes into a pod's annotations runs
//! beside a server that it did not choose, and what it leaves is loaded into a fresh one.

mod blocks;
mod capture;
mod consul;
mod etcd;
mod harness;
mod influxdb;
mod http;
mod installation;
mod mariadb;
mod nats;
mod openldap;
mod mysql;
mod mongodb;
mod postgresql;
mod proof;
mod rabbitmq;
mod redis;
mod server;
mod unproven;
mod sqlite;
mod writers;
mod zookeeper;
